"""what waited for a sender that works again; no sender is forced on a delivery

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-21 16:45:00
"""

from alembic import op
import sqlalchemy as sa

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


# No batch: it would make the tables anew in SQLite, and rows that refer to them would go.
def upgrade():
    op.add_column('senders', sa.Column('waited', sa.Integer(), nullable=True))
    op.add_column('senders', sa.Column('waited_since_at', sa.DateTime(timezone=True), nullable=True))
    op.drop_column('deliveries', 'forced_sender_id')


def downgrade():
    op.add_column('deliveries', sa.Column('forced_sender_id', sa.Uuid(), nullable=True))
    op.drop_column('senders', 'waited_since_at')
    op.drop_column('senders', 'waited')
