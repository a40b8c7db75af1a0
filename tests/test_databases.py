"""A PostgreSQL database is handed on from test to test only where it is what the template is."""

from pathlib import Path

import psycopg
import pytest

from tests.databases import Database, Template

_KEY = "INSERT INTO encryption_keys (id, first_used_at) VALUES ('test', now())"
_CHANGES = (
    "ALTER TABLE senders RENAME TO senders_gone; ALTER TABLE senders_gone RENAME TO senders",
    "ALTER TABLE senders ALTER name DROP NOT NULL; ALTER TABLE senders ALTER name SET NOT NULL",
    "DROP INDEX ix_passed_tests_scope_digest",
    "CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA more",
    "ANALYZE encryption_keys",
    "UPDATE alembic_version SET version_num = '0000'",
    "TRUNCATE senders CASCADE",
)


@pytest.fixture
def postgresql(postgresql_template: Template, tmp_path: Path) -> Database:
    return postgresql_template.copy(tmp_path)


def test_a_database_that_holds_but_other_rows_is_emptied_and_handed_on(
    postgresql: Database, postgresql_template: Template, tmp_path: Path
) -> None:
    run(postgresql, _KEY)
    postgresql_template.drop(postgresql)
    again = postgresql_template.copy(tmp_path)
    assert again == postgresql
    with psycopg.connect(again.url) as connection:
        assert connection.execute("SELECT count(*) FROM encryption_keys").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
    postgresql_template.drop(again)


@pytest.mark.parametrize("change", _CHANGES)
def test_a_database_that_was_changed_is_not_handed_on(
    postgresql: Database, postgresql_template: Template, tmp_path: Path, change: str
) -> None:
    run(postgresql, _KEY)
    run(postgresql, change)
    assert is_gone(postgresql, postgresql_template, tmp_path)


def test_a_database_that_somebody_still_writes_to_is_not_handed_on(
    postgresql: Database, postgresql_template: Template, tmp_path: Path
) -> None:
    connection = psycopg.connect(postgresql.url)
    connection.execute(_KEY)
    assert is_gone(postgresql, postgresql_template, tmp_path)
    connection.close()


def run(database: Database, statements: str) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute(statements)


def is_gone(database: Database, template: Template, folder: Path) -> bool:
    template.drop(database)
    following = template.copy(folder)
    template.drop(following)
    return following != database
