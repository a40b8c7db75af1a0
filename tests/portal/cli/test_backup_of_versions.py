"""A backup crosses versions upwards only: a copy of the code with one migration more is newer."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from portal import resources
from tests.databases import Database, Template
from tests.portal.cli.commands import environment, invoke

_LATER = '''"""Later."""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "later", "{before}"


def upgrade():
    op.add_column("organizations", sa.Column("note", sa.Text(), server_default="from before"))
'''


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """A folder with a version of the portal that has one migration more."""
    folder = tmp_path / "newer"
    root = Path(__file__).parents[3]
    shutil.copytree(root / "portal", folder / "portal", ignore=_without_caches)
    for name in ("templates", "static", "migrations"):
        shutil.copytree(resources.folder(name), folder / name, ignore=_without_caches)
    before = ScriptDirectory(str(folder / "migrations")).get_current_head()
    (folder / "migrations/versions/later.py").write_text(_LATER.format(before=before))
    return folder


def test_an_older_backup_is_migrated_and_a_newer_one_refused(
    settings: dict[str, str], newer: Path, template: Template, tmp_path: Path
) -> None:
    made = invoke(settings, "token", "create", "--name", "ci", "--scope", "read")
    assert made.exit_code == 0, made.output
    old, new = tmp_path / "old.tar", tmp_path / "new.tar"
    assert invoke(settings, "backup", old, "--with-keys").exit_code == 0
    (tmp_path / "elsewhere").mkdir()
    fresh: Database = template.empty(tmp_path / "elsewhere")
    other = {
        "PORTAL_DATABASE_URL": fresh.url,
        "PORTAL_DATA_DIR": str(tmp_path / "elsewhere" / "data"),
    }
    try:
        assert "Restored the backup" in run(newer, other, "restore", old)
        assert run(newer, other, "db", "check") == "The database is up to date.\n"
        assert "at later." in run(newer, other, "backup", new)
        refused = invoke(settings, "restore", new, "--replace")
        assert refused.exit_code == 1
        assert "made by a newer version" in refused.stderr
        assert invoke(settings, "db", "check").exit_code == 0
        assert "which this version does not know" in invoke(other, "doctor").output
    finally:
        template.drop(fresh)


def run(version: Path, settings: dict[str, str], *arguments: str | Path) -> str:
    """The output of a command of that version, which must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "portal.cli", *map(str, arguments)],
        cwd=version,
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


_without_caches = shutil.ignore_patterns("__pycache__")
