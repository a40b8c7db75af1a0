"""What a person may be called. A name stands in letters to people who never heard of this host,
so it must hold nothing to click or to call."""

import re
import unicodedata

from portal.validation import Invalid, display_name

LONGEST = 60
# "Louis 14" and "Ann Lee 2nd" are names; five digits are a number to call.
MOST_DIGITS = 4
_UNNAMED = "Unnamed"

# Readers of mail make a link of such words; U+3002 is a full stop in host names too (UTS 46).
_LINK = re.compile(r"//|\w[.\u3002]\w[\w-]")


def check(field: str, value: str) -> str:
    """The name, trimmed. Raises Invalid for an empty one, line breaks, hidden addresses, links and
    telephone numbers; names in every script pass."""
    name = display_name(field, value, longest=LONGEST)
    if not name:
        raise Invalid.field(field, "Enter a name, for example Ann Lee.")
    read = _as_read(name)
    if holds_link(name):
        raise Invalid.field(
            field,
            "Enter a name alone, without a link or a host name. Put a space after a full stop, as "
            "in J. Smith.",
        )
    if sum(unicodedata.category(character) == "Nd" for character in read) > MOST_DIGITS:
        raise Invalid.field(
            field, f"Enter a name alone, without a number; {MOST_DIGITS} digits may stand in it."
        )
    return name


def holds_link(text: str) -> bool:
    """Whether readers of mail may make a link of a part of it."""
    return _LINK.search(_as_read(text)) is not None


def acceptable(name: str | None) -> str | None:
    """The name where it would be accepted today; letters do without one that is not."""
    try:
        return check("name", name or "")
    except Invalid:
        return None


def from_address(address: str) -> str:
    """What to call somebody of whom nothing but the address is known."""
    local = address.rpartition("@")[0]
    letters = re.sub(r"[\W\d_]+", " ", local)[:LONGEST].strip()
    return acceptable(local) or letters or _UNNAMED


def _as_read(name: str) -> str:
    """As people and programs read it: plain forms of letters and digits, nothing unseen."""
    plain = unicodedata.normalize("NFKC", name)
    return "".join(character for character in plain if unicodedata.category(character) != "Cf")
