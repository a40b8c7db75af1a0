"""What an organization hears where the answer could scan the network of the host: whether a name is
unknown, or a server refuses, is filtered, is not there or is forbidden is one thing in tests,
records and mail. Else names that only the host's network knows could be told by trying them."""

from collections.abc import Mapping

from flask_babel import lazy_gettext as _

from portal.smtp.causes import Cause
from portal.smtp.rules import Words
from portal.smtp.values import Phase

_HIDDEN = frozenset(
    {
        Cause.NAME_NOT_FOUND,
        Cause.FORBIDDEN_DESTINATION,
        Cause.CONNECT_TIMEOUT,
        Cause.CONNECT_REFUSED,
        Cause.UNREACHABLE,
        Cause.TOKEN_UNAVAILABLE,
    }
)
# What it is, and what helps.
_WORDS: Mapping[Cause, tuple[Words, Words]] = {
    Cause.UNREACHABLE: (
        _(
            "There is no such server, nothing that speaks SMTP answers there, or this portal may "
            "not connect there."
        ),
        _(
            "Check the spelling of the server, and the port; port 25 is often blocked, 465 and 587 "
            "seldom. Ask a system administrator whether this portal may connect to that server."
        ),
    ),
    Cause.TOKEN_UNAVAILABLE: (
        _("The token endpoint gives no token, or this portal may not connect there."),
        _(
            "Check the token URL. Ask a system administrator whether this portal may connect to "
            "that endpoint."
        ),
    ),
}


def hides(cause: str | None) -> bool:
    """Whether steps, times and words of such a failure are kept from an organization."""
    return cause in _HIDDEN


def told(cause: str | None, phase: str | None = None) -> str | None:
    """The cause as an organization hears it. `phase`, where it is known, tells the token endpoint,
    which is asked at the login, from the mail server."""
    if not hides(cause):
        return cause
    return (Cause.TOKEN_UNAVAILABLE if phase == Phase.AUTH else Cause.UNREACHABLE).value


def words(told_cause: str) -> tuple[Words, Words]:
    """What is said of a cause that stands for hidden ones, and its cure."""
    return _WORDS[Cause(told_cause)]
