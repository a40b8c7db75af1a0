"""A migration only adds what the version before can live with: its processes go on while machine
after machine is upgraded. What nobody reads any more is dropped a version later, by a migration
that says so:

    NOT_READ_BY_THE_VERSION_BEFORE = "senders.waited: replaced by 0009"
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

# From here on versions may run side by side; those before drop what older ones read.
FIRST = "0006"
DECLARATION = "NOT_READ_BY_THE_VERSION_BEFORE"
MIGRATIONS = sorted(
    path for path in (ROOT / "migrations/versions").glob("*.py") if path.name >= FIRST
)
_TAKES_AWAY = {"drop_column", "drop_table", "rename_table"}
_RAW = ("DROP ", "RENAME ", "SET NOT NULL")


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_a_migration_leaves_what_the_version_before_uses(path: Path) -> None:
    found = list(narrowing(ast.parse(path.read_text(encoding="utf-8"))))
    assert found == [], f"{path.name}: expand first, contract a version later: {found}"


BREAKS = {
    "a column goes": "op.drop_column('senders', 'waited')",
    "a column goes in a batch": (
        "with op.batch_alter_table('a') as batch:\n        batch.drop_column('b')"
    ),
    "an empty declaration": f"op.drop_column('a', 'b')\n\n{DECLARATION} = ''",
    "a table goes": "op.drop_table('events')",
    "a table gets another name": "op.rename_table('events', 'happenings')",
    "a column gets another name": "op.alter_column('a', 'b', new_column_name='c')",
    "a column must be filled": "op.alter_column('a', 'b', nullable=False)",
    "a new column must be filled": "op.add_column('a', sa.Column('b', sa.Text(), nullable=False))",
    "a statement of SQL drops": "op.execute('ALTER TABLE a drop COLUMN b')",
    "a statement of SQL in a helper": (
        "helper()\n\ndef helper():\n    op.execute(sa.text('DROP TABLE b'))"
    ),
}
EXPANDS = {
    "a table": "op.create_table('a', sa.Column('b', sa.Text(), nullable=False))",
    "a column that may be empty": "op.add_column('a', sa.Column('b', sa.Text(), nullable=True))",
    "a column with a default of the server": (
        "op.add_column('a', sa.Column('b', sa.Text(), nullable=False, server_default=''))"
    ),
    "a column with a default of the server from now on": (
        "op.alter_column('a', 'b', nullable=False, server_default='')"
    ),
    "an index goes": "op.drop_index('ix', 'a')",
    "a declaration": f"op.drop_column('a', 'b')\n\n{DECLARATION} = 'a.b: not read since 0007'",
    "the way back": "pass\n\ndef downgrade():\n    op.drop_column('a', 'b')",
}


@pytest.mark.parametrize("body", BREAKS.values(), ids=BREAKS.keys())
def test_what_the_version_before_would_stumble_over_is_refused(body: str) -> None:
    assert list(narrowing(ast.parse(f"def upgrade():\n    {body}\n")))


@pytest.mark.parametrize("body", EXPANDS.values(), ids=EXPANDS.keys())
def test_what_only_adds_or_declares_itself_passes(body: str) -> None:
    assert not list(narrowing(ast.parse(f"def upgrade():\n    {body}\n")))


def narrowing(tree: ast.Module) -> Iterator[str]:
    """What a migration takes away on its way up, with the line."""
    if any(_declares(node) for node in tree.body):
        return
    for part in tree.body:
        if isinstance(part, ast.FunctionDef) and part.name == "downgrade":
            continue
        for call in (node for node in ast.walk(part) if isinstance(node, ast.Call)):
            if what := _taken_away(call):
                yield f"line {call.lineno}: {what}"


def _declares(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Assign)
        and [ast.unparse(target) for target in node.targets] == [DECLARATION]
        and isinstance(node.value, ast.Constant)
        and bool(node.value.value)
    )


def _taken_away(call: ast.Call) -> str | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if name in _TAKES_AWAY:
        return name
    if name == "alter_column" and "new_column_name" in given:
        return "alter_column: another name"
    if name == "alter_column" and _must_be_filled(given):
        return "alter_column: NOT NULL without a default of the server"
    if name == "add_column":
        columns = [node for node in ast.walk(call) if isinstance(node, ast.Call) and node != call]
        for column in columns:
            if _must_be_filled({keyword.arg: keyword.value for keyword in column.keywords}):
                return "add_column: NOT NULL without a default of the server"
    if name == "execute":
        said = " ".join(
            str(node.value) for node in ast.walk(call) if isinstance(node, ast.Constant)
        ).upper()
        return next((f"execute: {word.strip()}" for word in _RAW if word in said), None)
    return None


def _must_be_filled(given: dict[str | None, ast.expr]) -> bool:
    nullable = given.get("nullable")
    is_not_null = isinstance(nullable, ast.Constant) and nullable.value is False
    return is_not_null and "server_default" not in given
