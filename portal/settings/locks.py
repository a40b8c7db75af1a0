"""What the host forbids to an organization, judged before anything is changed."""

from portal.settings import effective, platform_addresses
from portal.settings.platform_addresses import Addressed
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


def forbids_sending(scope: Scope, uses: Addressed) -> bool:
    """Whether such a sender may not begin to send: own ones are forbidden, or it uses an address
    of the platform."""
    return forbids_own_senders(scope) or bool(platform_addresses.errors_of(scope, uses))


def check_sending(scope: Scope, uses: Addressed | None) -> None:
    """Raises Invalid on the same terms. None: nothing sends yet."""
    check_own_senders(scope)
    errors = platform_addresses.errors_of(scope, uses) if uses is not None else []
    if errors:
        raise Invalid(errors)
