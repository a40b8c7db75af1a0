"""What the host forbids to an organization, judged before anything is changed."""

from portal.settings import effective
from portal.settings.scope import Scope
from portal.validation import Invalid


def forbids_own_senders(scope: Scope) -> bool:
    """Whether the host does not allow senders of its own to this organization; never the host."""
    return not effective.settings_of(scope).own_senders_allowed


def check_own_senders(scope: Scope) -> None:
    """Raises Invalid where own senders are forbidden: they may be read, disabled and deleted."""
    if forbids_own_senders(scope):
        raise Invalid.field(
            "own_senders_allowed",
            "The platform does not allow own senders here; ask a system administrator.",
        )
