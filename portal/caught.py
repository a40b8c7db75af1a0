"""Mail that the built-in mail catcher took: one message file and one envelope file each.

The catcher writes, the pages read; the folder is all they share.
"""

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from portal.clock import new_id, utcnow


@dataclass(frozen=True)
class Envelope:
    """How a message came in: the server that took it, the login used, MAIL FROM and RCPT TO."""

    server: str
    login: str | None
    mail_from: str
    recipients: tuple[str, ...]


@dataclass(frozen=True)
class CaughtMail:
    """`id` sorts by time. `path` holds the message as it came over the wire (RFC 5322)."""

    id: uuid.UUID
    received_at: datetime
    envelope: Envelope
    path: Path


def keep(folder: Path, envelope: Envelope, content: bytes) -> CaughtMail:
    """Store a message durably. A reader sees it whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{new_id()}.eml"
    about = {
        "received_at": utcnow().isoformat(),
        "server": envelope.server,
        "login": envelope.login,
        "mail_from": envelope.mail_from,
        "recipients": list(envelope.recipients),
    }
    _write(path.with_suffix(".json"), json.dumps(about).encode())
    # The message comes last: it is what readers look for.
    _write(path, content)
    return _read(path)


def newest(folder: Path, *, limit: int) -> list[CaughtMail]:
    """The mails that came last, newest first."""
    if not folder.is_dir():
        return []
    return list(islice(_all(folder), limit))


def find(folder: Path, mail_id: uuid.UUID) -> CaughtMail | None:
    path = folder / f"{mail_id}.eml"
    return _read(path) if path.is_file() else None


def _all(folder: Path) -> Iterator[CaughtMail]:
    for path in sorted(folder.glob("*.eml"), reverse=True):
        yield _read(path)


def _read(path: Path) -> CaughtMail:
    about = json.loads(path.with_suffix(".json").read_bytes())
    envelope = Envelope(
        about["server"], about["login"], about["mail_from"], tuple(about["recipients"])
    )
    return CaughtMail(
        uuid.UUID(path.stem), datetime.fromisoformat(about["received_at"]), envelope, path
    )


def _write(path: Path, content: bytes) -> None:
    draft = path.with_suffix(path.suffix + ".part")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
