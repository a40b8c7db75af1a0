"""The keys beside a backup: taken along, put back, or told by name so that they are kept."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from portal import keys
from portal.cli.archive.manifest import Manifest
from portal.cli.failures import Failed
from portal.config import Config, ConfigError

ENCRYPTION_PART = "encryption-keys"
SECRET_PART = "secret-key"

Pairs = tuple[tuple[str, str], ...]


def take_along(config: Config, folder: Path) -> list[str]:
    """Write the keys as parts of an archive. Raises ConfigError where one is missing."""
    pairs = keys.encryption_keys(config)
    secret = keys.load_secret_key(config)
    if secret is None:
        raise ConfigError(f"The secret key is missing: restore {config.data_dir / SECRET_PART}.")
    (folder / ENCRYPTION_PART).write_text(_file_of(pairs), encoding="ascii")
    (folder / SECRET_PART).write_text(secret + "\n", encoding="utf-8")
    return [ENCRYPTION_PART, SECRET_PART]


def to_be_kept(config: Config, key_ids: Sequence[str]) -> str:
    """Which keys a backup without keys needs, and where they are, in one line."""
    named = ", ".join(key_ids) or "none yet"
    encryption = config.data_dir / ENCRYPTION_PART
    places = [
        "PORTAL_ENCRYPTION_KEYS" if config.encryption_keys else str(encryption),
        "PORTAL_SECRET_KEY" if config.secret_key else str(config.data_dir / SECRET_PART),
    ]
    return (
        "The keys are not in this archive, and without them its passwords cannot be opened: "
        f"keep {places[0]} (key {named}) and {places[1]} elsewhere."
    )


def require(config: Config, manifest: Manifest, folder: Path) -> None:
    """Raises Failed where a key that sealed the archive's secrets is neither here nor in it."""
    if not manifest.key_ids:
        return
    brought = ENCRYPTION_PART in manifest.parts and not config.encryption_keys
    here = dict(_here(config))
    inside = dict(_inside(folder)) if brought else {}
    if missing := sorted(set(manifest.key_ids) - here.keys() - inside.keys()):
        raise Failed(
            f"The keys that sealed this backup's passwords are missing: {', '.join(missing)}. "
            f"Put them at {config.data_dir / ENCRYPTION_PART} or into PORTAL_ENCRYPTION_KEYS, "
            "then run the command again. Nothing was changed."
        )
    for key_id in here.keys() & inside.keys():
        if here[key_id] != inside[key_id]:
            raise Failed(f"The key {key_id} here is not the one of the backup; move it away.")
    if SECRET_PART not in manifest.parts and keys.load_secret_key(config) is None:
        raise Failed(
            f"The secret key of this backup is missing: put it at {config.data_dir / SECRET_PART} "
            "or into PORTAL_SECRET_KEY, then run the command again. Nothing was changed."
        )


@contextmanager
def in_place(config: Config, manifest: Manifest, folder: Path) -> Iterator[list[Path]]:
    """Put the archive's keys into the data folder; back to what was there if the block raises.

    Keys that are here already stay, behind those of the archive. Keys that the configuration
    holds are left to it. Gives the files that were written.
    """
    wanted: dict[Path, str] = {}
    if ENCRYPTION_PART in manifest.parts and not config.encryption_keys:
        inside = _inside(folder)
        others = tuple(pair for pair in _here(config) if pair[0] not in dict(inside))
        wanted[config.data_dir / ENCRYPTION_PART] = _file_of(inside + others)
    if SECRET_PART in manifest.parts and not config.secret_key:
        wanted[config.data_dir / SECRET_PART] = (folder / SECRET_PART).read_text(encoding="utf-8")
    before = {path: path.read_text() if path.exists() else None for path in wanted}
    try:
        for path, content in wanted.items():
            _write(path, content)
        yield list(wanted)
    except BaseException:
        for path, old in before.items():
            if old is None:
                path.unlink(missing_ok=True)
            else:
                _write(path, old)
        raise


def _here(config: Config) -> Pairs:
    try:
        return keys.encryption_keys(config)
    except ConfigError:
        return ()


def _inside(folder: Path) -> Pairs:
    lines = (folder / ENCRYPTION_PART).read_text(encoding="ascii").split()
    parts = (line.partition(":") for line in lines)
    return tuple((key_id, encoded) for key_id, _, encoded in parts)


def _file_of(pairs: Pairs) -> str:
    return "".join(f"{key_id}:{encoded}\n" for key_id, encoded in pairs)


def _write(path: Path, content: str) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
