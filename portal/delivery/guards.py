"""Which destinations a scope's sender may connect to."""

from portal.destinations import AllowedDestinations, Guard, HostGuard, OrganizationGuard
from portal.settings import effective
from portal.settings.scope import HOST, Scope


def guard_for(scope: Scope) -> Guard:
    """The host's senders connect anywhere; an organization's only where the guard lets them."""
    entries = effective.settings_of(HOST).allowed_destinations
    allowed = AllowedDestinations.parse(list(entries))
    return HostGuard(allowed=allowed) if scope.is_host else OrganizationGuard(allowed)
