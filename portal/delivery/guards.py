"""Which destinations a scope's sender may connect to."""

from portal.destinations import AllowedDestinations, Guard, HostGuard, OrganizationGuard
from portal.settings import effective
from portal.settings.scope import HOST, Scope


def guard_for(scope: Scope) -> Guard:
    """The host's senders connect anywhere; an organization's only where the guard lets them."""
    if scope.is_host:
        return HostGuard()
    entries = effective.settings_of(HOST).allowed_destinations
    return OrganizationGuard(AllowedDestinations.parse(list(entries)))
