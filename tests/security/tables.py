"""Every row of every table, to see what a request changed and what a database holds."""

from collections.abc import Mapping

from flask import Flask

from portal.database import reading_only
from portal.extensions import db

# Table -> primary key and values by column, as text.
Dump = Mapping[str, list[dict[str, str]]]

# What looking at a page may write: when somebody was last there, and who opened a decision page.
TRACES = {
    "sign_in_sessions": {"last_seen_at"},
    "api_tokens": {"last_used_at"},
    "approvers": {"visits", "last_visit_at"},
}


def dump(app: Flask, *, without: Mapping[str, set[str]] = TRACES) -> Dump:
    """All rows, without the columns named in `without`."""
    with app.app_context():
        reading_only(True)
        found = {}
        for table in db.metadata.sorted_tables:
            left_out = without.get(table.name, set())
            columns = [column for column in table.columns if column.name not in left_out]
            rows = db.session.execute(table.select().with_only_columns(*columns)).mappings()
            found[table.name] = sorted(
                ({name: repr(value) for name, value in row.items()} for row in rows),
                key=lambda row: sorted(row.items()),
            )
        db.session.rollback()
    return found


def differences(before: Dump, after: Dump) -> list[str]:
    """One sentence for each row that came, went or changed."""
    found = []
    for table, rows in after.items():
        found += [f"{table} has now: {row}" for row in rows if row not in before[table]]
        found += [f"{table} had: {row}" for row in before[table] if row not in rows]
    return found
