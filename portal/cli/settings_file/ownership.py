"""Secret files belong to one scope: a file that two scopes name would give the secret of one to the
other one's server."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from portal.cli.settings_file.document import Problem, Section, Wrong

_SENDER_KEYS = ("password_file", "client_secret_file", "private_key_file", "refresh_token_file")
_TOKEN_KEYS = ("token_file",)


@dataclass(frozen=True)
class _Named:
    """One place that names a secret file. `slug` is None for the host."""

    slug: str | None
    section: Section
    key: str

    @property
    def scope(self) -> str:
        return "the host" if self.slug is None else f"organization {self.slug}"


def check(document: Section, folder: Path) -> None:
    """No secret file of a sender or token is named in two scopes, and no two tokens go to one file.

    Raises Wrong with the later place of each.
    """
    first: dict[str, _Named] = {}
    problems: list[Problem] = []
    for named in _all(document):
        path = os.path.abspath(folder / named.section.values[named.key])
        other = first.setdefault(path, named)
        are_tokens = named.key == other.key == "token_file" and named is not other
        if named.slug != other.slug or are_tokens:
            problems.append(_problem(named, other))
    if problems:
        raise Wrong(problems)


def _all(document: Section) -> Iterator[_Named]:
    yield from _of(None, document.section("host"))
    for section in document.sections("organizations"):
        yield from _of(section.values["slug"].strip(), section)


def _of(slug: str | None, section: Section) -> Iterator[_Named]:
    for key, names in (("senders", _SENDER_KEYS), ("api_tokens", _TOKEN_KEYS)):
        for entry in section.sections(key):
            yield from (_Named(slug, entry, name) for name in names if entry.get(name))


def _problem(named: _Named, other: _Named) -> Problem:
    value, line = named.section.values[named.key], other.section.lines[other.key]
    message = f"{value} is named on line {line} too, by {other.scope}. Name a file of its own here."
    return named.section.problem(named.key, message)
