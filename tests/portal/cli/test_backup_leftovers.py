"""`portal backup` where there is no room, and after backups that were killed."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.databases import EngineName
from tests.portal.cli.commands import environment, invoke

SQLITE = pytest.mark.parametrize("engine_name", [EngineName.SQLITE])
_RUN = "from portal.cli import main; main()"
# Enough for what SQLite keeps beside the database that it reads.
_ROOM = 40_000


def test_a_backup_without_room_names_its_folder_and_leaves_nothing(
    settings: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    # No file may grow beyond so many bytes, as where the disk is full.
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({_ROOM}, {_ROOM}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{limit}\n{_RUN}", "backup", str(folder / "full.tar")],
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"The backup cannot be written to {folder}: " in done.stderr
    assert "name a file on another disk" in done.stderr and "doctor" not in done.stderr
    assert [*folder.iterdir()] == []


@SQLITE
def test_what_killed_backups_left_goes_with_the_next_one_and_nothing_else(
    settings: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    killed, under_way, deep, file, link = (
        folder / f".gatepost-backup-{number:016x}" for number in range(5)
    )
    other = folder / ".gatepost-backup-mine"
    for left in (killed, under_way, deep, other, deep / "inside"):
        left.mkdir(parents=True)
        (left / "database.sqlite3").write_text("half a database")
    file.write_text("a letter")
    link.symlink_to(other)
    held = os.open(under_way, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    assert invoke(settings, "backup", folder / "gatepost.tar").exit_code == 0
    os.close(held)
    stay = {under_way, deep, other, file, link, folder / "gatepost.tar"}
    assert {*folder.iterdir()} == stay
    assert (other / "database.sqlite3").exists()
