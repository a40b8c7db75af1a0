"""The hidden folder in which a backup is made, beside its target: gone with it, or with the next
backup where a process was killed."""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = ".gatepost-backup-"
_OURS = re.compile(re.escape(_PREFIX) + "[0-9a-f]{16}")


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A new folder, closed to others, held by a lock until the block ends. Raises OSError.

    Removes such folders of this user's whose process has ended.
    """
    parent = target.absolute().parent
    for left in _left_behind(parent):
        _remove_unless_held(left)
    while True:
        folder = parent / f"{_PREFIX}{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            # Another backup may have taken it for a left one before it was held.
            if folder.exists():
                yield folder
                return
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)


def _left_behind(parent: Path) -> list[Path]:
    return [path for path in parent.glob(f"{_PREFIX}*") if _OURS.fullmatch(path.name)]


def _remove_unless_held(folder: Path) -> None:
    """What does not look as a backup leaves it, or cannot be removed, stays."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_uid == os.geteuid() and _holds_plain_files(folder):
                shutil.rmtree(folder)
        finally:
            os.close(descriptor)


def _holds_plain_files(folder: Path) -> bool:
    return all(stat.S_ISREG(path.lstat().st_mode) for path in folder.iterdir())
