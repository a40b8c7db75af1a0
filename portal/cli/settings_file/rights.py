"""Who else on the machine may read the secrets that a settings file points to."""

import stat
from collections.abc import Iterator
from pathlib import Path

from portal.cli.settings_file.document import Section

_KEYS = (
    "password_file",
    "client_secret_file",
    "private_key_file",
    "refresh_token_file",
    "token_file",
)
_OTHERS = stat.S_IRGRP | stat.S_IROTH


def readable_by_others(document: Section, folder: Path) -> list[Path]:
    """The secret files, each once, that not only their owner may read. `folder` is where the
    settings file lies; a file that is not there is left to those who need it."""
    named = dict.fromkeys(folder / name for name in _named(document))
    return [path for path in named if _is_open(path)]


def _named(section: Section) -> Iterator[str]:
    yield from (section.values[key] for key in _KEYS if section.get(key))
    for value in section.values.values():
        inner = value if isinstance(value, tuple) else (value,)
        for one in inner:
            if isinstance(one, Section):
                yield from _named(one)


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False
