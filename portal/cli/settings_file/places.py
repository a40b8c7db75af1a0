"""Errors of capabilities told with the place in the file that caused them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from portal.cli.settings_file.document import Section, Wrong
from portal.validation import Invalid


@contextmanager
def located(section: Section, names: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turn Invalid into Wrong with lines. `names`: the file's key for a capability's field."""
    try:
        yield
    except Invalid as invalid:
        raise Wrong(
            section.problem(_key(error.field, names or {}), error.message)
            for error in invalid.errors
        ) from None


def _key(field: str, names: Mapping[str, str]) -> str:
    """`audience.0` is an entry of the list `audience`: they share a line."""
    key = field.partition(".")[0]
    return names.get(key, key)
