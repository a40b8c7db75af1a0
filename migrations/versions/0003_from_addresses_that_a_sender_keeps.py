"""from addresses that mail keeps when another sender takes over

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-21 16:40:00
"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


# No batch: it would make `senders` anew in SQLite, and with the old table go the rows that refer to it.
def upgrade():
    json = sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')
    op.add_column('senders', sa.Column('allowed_from', json, nullable=False, server_default='[]'))
    op.add_column('attempts', sa.Column('from_version_id', sa.Uuid(), nullable=True))


def downgrade():
    op.drop_column('attempts', 'from_version_id')
    op.drop_column('senders', 'allowed_from')
