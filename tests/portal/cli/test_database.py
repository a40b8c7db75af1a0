from pathlib import Path

from sqlalchemy import create_engine, text

from tests.databases import Database
from tests.portal.cli.commands import invoke


def settings_for(database: Database, folder: Path) -> dict[str, str]:
    return {"PORTAL_DATABASE_URL": database.url, "PORTAL_DATA_DIR": str(folder / "data")}


def test_upgrade_brings_an_empty_database_to_this_version(
    empty_database: Database, tmp_path: Path
) -> None:
    settings = settings_for(empty_database, tmp_path)
    before = invoke(settings, "db", "check")
    assert before.exit_code == 1
    assert before.stderr == "Error: The database is empty. Run: portal db upgrade\n"
    assert invoke(settings, "db", "upgrade").output.startswith("The database was brought to ")
    assert invoke(settings, "db", "upgrade").output == "The database is up to date.\n"
    assert invoke(settings, "db", "check").output == "The database is up to date.\n"


def test_a_command_does_not_touch_an_older_database(settings: dict[str, str]) -> None:
    url = settings["PORTAL_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    engine.dispose()
    for arguments in (
        ("token", "create", "--name", "ci", "--scope", "read"),
        ("apply", "none.yaml"),
        ("db", "check"),
    ):
        refused = invoke(settings, *arguments)
        assert refused.exit_code == 1
    assert "The database is at 0000, this version needs" in refused.stderr
    assert "then run: portal db upgrade" in refused.stderr
