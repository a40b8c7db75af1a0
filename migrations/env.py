"""How Alembic reaches the application's database; run through `portal db upgrade`."""

import sqlalchemy as sa
from alembic import context
from flask import current_app

from portal.database import UtcDateTime

db = current_app.extensions["migrate"].db


def render_item(kind, item, autogen_context):
    """Migrations name plain SQLAlchemy types, so that they do not depend on later code."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, sa.Enum):
        return f"sa.String(length={item.length})"
    if kind == "type" and isinstance(item, sa.JSON):
        autogen_context.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


def compare_type(_context, _column, _inspected, found, wanted):
    """Types that are stored alike are alike: an enum is text."""
    if isinstance(wanted, sa.Enum) and isinstance(found, sa.String):
        return False
    return None


def run():
    with db.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            render_item=render_item,
            compare_type=compare_type,
            render_as_batch=False,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
