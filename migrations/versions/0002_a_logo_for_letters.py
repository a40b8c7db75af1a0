"""a logo for letters, of the host and of organizations

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-21 16:15:00
"""

from alembic import op
import sqlalchemy as sa

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('logos',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('organization_id', sa.Uuid(), nullable=True),
    sa.Column('scope', sa.String(length=36), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('content', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['organization_id'], ['organizations.id'], name=op.f('fk_logos_organization_id_organizations')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_logos')),
    sa.UniqueConstraint('scope', name=op.f('uq_logos_scope'))
    )
    with op.batch_alter_table('mail_settings') as batch:
        batch.add_column(sa.Column('logo', sa.String(length=100), nullable=True))


def downgrade():
    with op.batch_alter_table('mail_settings') as batch:
        batch.drop_column('logo')
    op.drop_table('logos')
