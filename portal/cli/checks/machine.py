"""What lies on the machine: configuration, data folder, key files and free disk."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import make_url

from portal import keys
from portal.cli.checks.findings import Finding, fault, fine, warning
from portal.config import Config

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Below this the portal says of itself that it is not ready.
_NO_ROOM = 16 * 1024 * 1024
_LITTLE_ROOM = 512 * 1024 * 1024
_MIB = 1024 * 1024


def check(config: Config) -> Iterator[Finding]:
    """Configuration, data folder, key files and disk; changes nothing."""
    yield _configuration(config)
    folder = _data_folder(config)
    yield folder
    if is_usable(config):
        for path in keys.files(config):
            yield _key_file(path)
        for place in _places(config):
            yield _room(place)


def is_usable(config: Config) -> bool:
    """Whether this user can look into the data folder; never raises, unlike Path.is_dir."""
    return os.path.isdir(config.data_dir) and os.access(config.data_dir, os.X_OK)


def database_file(config: Config) -> Path | None:
    """The file of a SQLite database; None on PostgreSQL."""
    name = make_url(config.database_url).database
    return Path(name) if config.is_sqlite and name else None


def _configuration(config: Config) -> Finding:
    host = urlsplit(config.base_url).hostname
    if not config.is_https and host not in _LOOPBACK:
        return warning(
            "configuration",
            f"PORTAL_BASE_URL is {config.base_url}: passwords and sessions travel in the clear.",
            "Put a reverse proxy with TLS in front and set PORTAL_BASE_URL to its https address.",
        )
    return fine("configuration", f"The settings are readable; links lead to {config.base_url}.")


def _data_folder(config: Config) -> Finding:
    folder = config.data_dir
    if not os.path.isdir(folder):
        return fault(
            "data folder",
            f"{folder} is not there, or in a folder that this user may not enter.",
            "Run portal as its own user, with PORTAL_DATA_DIR at the folder of this portal; "
            "for a new one run: portal db upgrade",
        )
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return fault(
            "data folder",
            f"{folder} may not be read and written by this user.",
            f"Run portal as the owner of the folder, or give it away: chown -R USER {folder}",
        )
    if (mode := _mode(folder)) & 0o077:
        return warning(
            "data folder",
            f"{folder} is open to other users of this machine (mode {mode:04o}).",
            f"Close it: chmod 700 {folder}",
        )
    return fine("data folder", f"{folder} is open to its owner alone.")


def _key_file(path: Path) -> Finding:
    if not path.exists():
        return warning(
            "key files",
            f"{path} is not there. A new installation makes it when it first starts.",
            f"If this installation has run before: restore {path} from where you keep the keys.",
        )
    if (mode := _mode(path)) & 0o177:
        return fault(
            "key files",
            f"{path} has mode {mode:04o}; only its owner may read a key.",
            f"Close it: chmod 600 {path}",
        )
    if not os.access(path, os.R_OK):
        return fault(
            "key files",
            f"{path} may not be read by this user.",
            f"Run portal as the owner of the file, or give it away: chown USER {path}",
        )
    return fine("key files", f"{path} may be read by its owner alone.")


def _places(config: Config) -> tuple[Path, ...]:
    """The folders that are written to, one of each file system."""
    file = database_file(config)
    folders = [config.data_dir, *([file.parent] if file and file.parent.is_dir() else [])]
    return tuple({folder.stat().st_dev: folder for folder in reversed(folders)}.values())


def _room(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    message = f"{folder} has {free // _MIB} MiB free."
    cure = f"Make room on the disk that holds {folder}."
    if free < _NO_ROOM:
        return fault("disk", message, cure)
    if free < _LITTLE_ROOM:
        return warning("disk", message, cure)
    return fine("disk", message)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
