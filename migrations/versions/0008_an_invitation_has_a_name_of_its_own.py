"""an invitation has a name of its own

Revision ID: 0008
Revises: 0007
"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("account_links", sa.Column("name", sa.String(length=200), nullable=True))
    _forget_names_given_by_others()


def downgrade():
    with op.batch_alter_table("account_links") as links:
        links.drop_column("name")


def _forget_names_given_by_others():
    """Who never accepted an invitation is called by the address: whoever invited them first chose
    the name, for everyone after."""
    users = sa.table(
        "users",
        sa.column("id"),
        sa.column("email"),
        sa.column("name"),
        sa.column("password_hash"),
        sa.column("verified_at"),
    )
    has_no_account = users.c.password_hash.is_(None) & users.c.verified_at.is_(None)
    connection = op.get_bind()
    for row in connection.execute(sa.select(users.c.id, users.c.email).where(has_no_account)).all():
        local = row.email.rpartition("@")[0]
        name = re.sub(r"[\W\d_]+", " ", local)[:60].strip() or "Unnamed"
        connection.execute(sa.update(users).where(users.c.id == row.id).values(name=name))
