"""The letters that come with the product: Liquid sources, found and read once per process."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from portal import resources
from portal.kinds import Kind
from portal.letters.liquid import BrokenLetter
from portal.letters.words import Language

PARTS = ("subject", "text", "html")


@dataclass(frozen=True)
class Source:
    """One letter in one language before data is filled in. `version` is a sha256 of its parts."""

    name: str
    language: Language
    subject: str
    text: str
    html: str
    version: str


@cache
def source(kind: Kind, language: Language) -> Source:
    """The shipped letter of a kind. Raises BrokenLetter when a file of it is missing."""
    subject, text, html = (_read(path(kind, language, part)) for part in PARTS)
    version = hashlib.sha256("\0".join((subject, text, html)).encode()).hexdigest()
    return Source(kind.key, language, subject, text, html, version)


def path(kind: Kind, language: Language, part: str) -> Path:
    """Where a part lies, for example templates/mail/alert.raised/en.html.liquid."""
    return resources.folder("templates") / "mail" / kind.key / f"{language}.{part}.liquid"


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as problem:
        where = f"{file.parent.name}/{file.name}"
        raise BrokenLetter(where, f"the file cannot be read ({problem.strerror})") from problem
