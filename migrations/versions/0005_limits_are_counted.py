"""limits are counted

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "send_counts",
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column(
            "counts", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("last_turn", sa.Double(), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_send_counts")),
    )
    op.create_index("ix_send_counts_ends_at", "send_counts", ["ends_at"])
    with op.batch_alter_table("workers") as workers:
        workers.alter_column("doing", existing_type=sa.String(length=200), type_=sa.Text())


def downgrade():
    with op.batch_alter_table("workers") as workers:
        workers.alter_column("doing", existing_type=sa.Text(), type_=sa.String(length=200))
    op.drop_index("ix_send_counts_ends_at", "send_counts")
    op.drop_table("send_counts")
