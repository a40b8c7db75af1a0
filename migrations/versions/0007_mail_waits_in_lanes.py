"""mail waits in lanes

Revision ID: 0007
Revises: 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_LANES = "ix_deliveries_state_priority_organization_id_next_attempt_at"
_BEFORE = "ix_deliveries_state_priority_next_attempt_at"


def upgrade():
    op.create_index(
        _LANES, "deliveries", ["state", "priority", "organization_id", "next_attempt_at"]
    )
    op.drop_index(_BEFORE, "deliveries")


def downgrade():
    op.create_index(_BEFORE, "deliveries", ["state", "priority", "next_attempt_at"])
    op.drop_index(_LANES, "deliveries")
