"""Secrets that a settings file points to, and the files that tokens are written to."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from portal import config
from portal.cli.settings_file import files
from portal.cli.settings_file.document import Section, Wrong

_LONGEST = 64 * 1024


def password(section: Section, folder: Path) -> str | None:
    """What `password_file` or `password_env` holds, None where neither is given. Raises Wrong.

    Paths are relative to `folder`; one trailing line break of a file is not part of the secret.
    """
    file, variable = section.get("password_file"), section.get("password_env")
    if file and variable:
        message = "Give password_file or password_env, not both."
        raise Wrong([section.problem("password_env", message)])
    if variable:
        found = config.variable(variable)
        if not found:
            message = f"The environment variable {variable} is not set."
            raise Wrong([section.problem("password_env", message)])
        return found
    return without_line_break(text(section, "password_file", folder)) if file else None


@dataclass(frozen=True)
class Given:
    """The secrets of a sender that a file points to; `key` is the API's name of the secret."""

    key: str | None = None
    secret: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)


def of_sender(section: Section, folder: Path) -> Given:
    """Raises Wrong where a file cannot be read, or where two secrets are given."""
    found: dict[str, str | None] = {"password": password(section, folder)}
    for name in ("client_secret", "private_key"):
        found[name] = _from_file(section, f"{name}_file", folder)
    given = [key for key, value in found.items() if value is not None]
    if len(given) > 1:
        message = f"Give one secret: {given[0]} or {given[1]}."
        raise Wrong([section.problem(f"{given[1]}_file", message)])
    token = _from_file(section, "refresh_token_file", folder)
    key = given[0] if given else None
    return Given(key, found[key] if key else None, token)


def text(section: Section, key: str, folder: Path) -> str:
    """The content of the file that a key names. Raises Wrong."""
    content = files.content(section, key, folder, longest=_LONGEST)
    path = folder / section.values[key]
    try:
        found = content.decode()
    except UnicodeDecodeError:
        raise Wrong([section.problem(key, f"{path} is not a text in UTF-8.")]) from None
    if not found.strip():
        raise Wrong([section.problem(key, f"{path} is empty.")])
    return found


def _from_file(section: Section, key: str, folder: Path) -> str | None:
    return without_line_break(text(section, key, folder)) if section.get(key) else None


def without_line_break(content: str) -> str:
    return content.removesuffix("\n").removesuffix("\r")


def check_token_file(section: Section, path: Path) -> None:
    """A token may go to a new file, or in place of an older token. Raises Wrong."""
    if not path.parent.is_dir():
        message = f"The folder {path.parent} does not exist. Make it first."
        raise Wrong([section.problem("token_file", message)])
    if path.exists() and not _holds_token(path):
        message = f"{path} exists and holds no token. Name another file."
        raise Wrong([section.problem("token_file", message)])


class TokenFiles:
    """Tokens on their way into files: drafted before the commit, in place after it."""

    def __init__(self, tokens: Mapping[Path, str]) -> None:
        self._tokens = tokens
        self._drafts: dict[Path, Path] = {}

    def draft(self) -> None:
        """Write every token beside its file, readable by its owner alone. Raises OSError."""
        for path, token in self._tokens.items():
            draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._drafts[path] = draft
            with os.fdopen(descriptor, "w") as file:
                file.write(token + "\n")
                file.flush()
                os.fsync(file.fileno())

    def put_in_place(self) -> None:
        for path, draft in self._drafts.items():
            draft.replace(path)
        self._drafts = {}

    def discard(self) -> None:
        for draft in self._drafts.values():
            draft.unlink(missing_ok=True)


def _holds_token(path: Path) -> bool:
    try:
        content = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return False
    return not content or (content.startswith("gp_") and len(content.split()) == 1)
