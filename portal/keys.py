"""Where keys come from: the configuration, or files in the data folder made on the first run."""

import os
import secrets
from datetime import datetime
from pathlib import Path

from flask import Flask, current_app
from sqlalchemy import String, inspect, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from portal.clock import utcnow
from portal.config import Config, ConfigError
from portal.database import UtcDateTime
from portal.extensions import db
from portal.vault import Vault, decoded_key, new_key

_ENCRYPTION_FILE = "encryption-keys"
_SECRET_FILE = "secret-key"


class EncryptionKey(db.Model):
    """A key id that this database has been used with. The key itself is never stored here."""

    __tablename__ = "encryption_keys"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    first_used_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)


def vault() -> Vault:
    """The vault of the running application. Raises ConfigError where there is no key."""
    found = current_app.extensions.get("vault")
    if found is None:
        found = current_app.extensions["vault"] = open_vault(current_app.extensions["config"])
    return found


def load_secret_key(config: Config) -> str | None:
    """The key that signs cookies, or None before the first run."""
    return config.secret_key or _read(config.data_dir / _SECRET_FILE)


def files(config: Config) -> tuple[Path, ...]:
    """The files that keys are read from: none for the keys that the configuration holds."""
    encryption = () if config.encryption_keys else (config.data_dir / _ENCRYPTION_FILE,)
    secret = () if config.secret_key else (config.data_dir / _SECRET_FILE,)
    return (*encryption, *secret)


def encryption_keys(config: Config) -> tuple[tuple[str, str], ...]:
    """Key id and base64 of each encryption key, the encrypting one first; not checked yet.

    Raises ConfigError where there is none, or the file is none of keys.
    """
    return _listed(config)[1]


def open_vault(config: Config) -> Vault:
    """A vault with the keys of this configuration. Raises ConfigError with one line."""
    where, pairs = _listed(config)
    opened = []
    for key_id, encoded in pairs:
        try:
            opened.append((key_id, decoded_key(encoded)))
        except ValueError as problem:
            raise ConfigError(f"{where}: the key {key_id!r} {problem}.") from None
    return Vault(opened)


def ensure(app: Flask) -> list[Path]:
    """Check the keys against the database; on the very first run make them.

    Returns the files that were made. Raises ConfigError with one line when a key is missing that
    this database has been used with. Needs a migrated database.
    """
    config: Config = app.extensions["config"]
    with app.app_context():
        if not inspect(db.engine).has_table(EncryptionKey.__tablename__):
            raise ConfigError("The database is empty. Run: portal db upgrade")
        known = set(db.session.scalars(select(EncryptionKey.id)))
        made = [] if known else _make_missing(config)
        app.secret_key = load_secret_key(config)
        if app.secret_key is None:
            raise ConfigError(
                f"The secret key is missing: restore {config.data_dir / _SECRET_FILE} "
                "or set PORTAL_SECRET_KEY."
            )
        app.extensions["vault"] = opened = open_vault(config)
        if missing := sorted(known - set(opened.key_ids)):
            raise ConfigError(
                f"Encryption key {missing[0]} is missing: restore "
                f"{config.data_dir / _ENCRYPTION_FILE} or add it to PORTAL_ENCRYPTION_KEYS."
            )
        for key_id in sorted(set(opened.key_ids) - known):
            _remember(key_id)
    return made


def _remember(key_id: str) -> None:
    db.session.add(EncryptionKey(id=key_id))
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()  # another process starts at this moment and was first


def _make_missing(config: Config) -> list[Path]:
    made = []
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not config.encryption_keys:
        made.append((config.data_dir / _ENCRYPTION_FILE, ":".join(new_key())))
    if not config.secret_key:
        made.append((config.data_dir / _SECRET_FILE, secrets.token_urlsafe(48)))
    return [path for path, content in made if _write(path, content)]


def _listed(config: Config) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Where the encryption keys come from, in words, and what is written there."""
    if config.encryption_keys:
        return "PORTAL_ENCRYPTION_KEYS", config.encryption_keys
    path = config.data_dir / _ENCRYPTION_FILE
    content = _read(path)
    if content is None:
        raise ConfigError(
            f"The encryption keys are missing: restore {path} or set PORTAL_ENCRYPTION_KEYS."
        )
    lines = [line.strip() for line in content.replace(",", "\n").splitlines() if line.strip()]
    if not all(":" in line for line in lines):
        # The line itself is not shown: it may be a key whose id is missing.
        raise ConfigError(f"{path}: every line must look like id:base64.")
    parts = (line.partition(":") for line in lines)
    return str(path), tuple((key_id, encoded) for key_id, _, encoded in parts)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise ConfigError(f"{path} cannot be read: {problem.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not a key file: restore it.") from None


def _write(path: Path, content: str) -> bool:
    """Make the file whole or not at all; False where it is there already.

    Two processes may start for the first time at once, and a machine may stop at any moment.
    """
    if path.exists():
        return False
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(content + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(unfinished, path)
        except FileExistsError:
            return False
    finally:
        unfinished.unlink(missing_ok=True)
    _keep(path.parent)
    return True


def _keep(folder: Path) -> None:
    """The names in a folder are durable once the folder itself was written."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
