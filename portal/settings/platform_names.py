"""The platform's names, by which no organization may call itself."""

import unicodedata

from portal.settings import effective
from portal.validation import FieldError


def errors_of(name: str | None, *, kept: str | None) -> list[FieldError]:
    """By the host's sender, mail would read as if the platform had written it: "Acme Cloud (via
    Acme Cloud)". Its own people may call an organization so, and a `kept` name stays."""
    if name is None or name == kept:
        return []
    read = _as_read(name.partition("(")[0]) or _as_read(name)
    if not read or read not in map(_as_read, effective.platform_names()):
        return []
    return [
        FieldError(
            "display_name",
            "This is the name of the platform, whose sender may carry your mail. Enter the name "
            "of your organization.",
        )
    ]


def _as_read(name: str) -> str:
    """What is left of a name where case, width, spaces and punctuation are not looked at."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(character for character in folded if character.isalnum())
