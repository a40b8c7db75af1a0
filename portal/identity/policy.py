"""Who may do what: one table of permissions a role, and one function that answers."""

from dataclasses import dataclass
from enum import StrEnum

from portal.audit.log import Actor, ActorType
from portal.identity.models import ApiToken, Membership, Organization, Role, SignInSession, User


class Permission(StrEnum):
    """`scope:resource:action`. One stands above every handler."""

    HOST_OVERVIEW_READ = "host:overview:read"
    HOST_SETTINGS_READ = "host:settings:read"
    HOST_SETTINGS_CHANGE = "host:settings:change"
    HOST_ORGANIZATIONS_READ = "host:organizations:read"
    HOST_ORGANIZATIONS_CHANGE = "host:organizations:change"
    HOST_ADMINISTRATORS_CHANGE = "host:administrators:change"
    HOST_TOKENS_CHANGE = "host:tokens:change"
    HOST_RECORDS_READ = "host:records:read"
    HOST_RECORDS_CHANGE = "host:records:change"
    HOST_ENGINE_READ = "host:engine:read"
    HOST_AUDIT_READ = "host:audit:read"
    HOST_CATCHER_READ = "host:catcher:read"

    ORGANIZATION_OVERVIEW_READ = "organization:overview:read"
    SETTINGS_READ = "organization:settings:read"
    SETTINGS_CHANGE = "organization:settings:change"
    MEMBERS_READ = "organization:members:read"
    MEMBERS_CHANGE = "organization:members:change"
    ROUTING_CHANGE = "organization:routing:change"
    TOKENS_CHANGE = "organization:tokens:change"
    RECORDS_READ = "organization:records:read"
    RECORDS_CHANGE = "organization:records:change"
    AUDIT_READ = "organization:audit:read"
    ALERTS_READ = "organization:alerts:read"
    ALERTS_RAISE = "organization:alerts:raise"
    APPROVALS_READ = "organization:approvals:read"
    APPROVALS_REQUEST = "organization:approvals:request"
    APPROVALS_DECIDE = "organization:approvals:decide"
    APPROVALS_WITHDRAW = "organization:approvals:withdraw"

    ACCOUNT_CHANGE = "me:account:change"

    @property
    def is_host(self) -> bool:
        return self.value.startswith("host:")

    @property
    def is_organization(self) -> bool:
        return self.value.startswith("organization:")


class Scope(StrEnum):
    """What an API token may do."""

    SEND = "send"
    READ = "read"
    CONFIGURE = "configure"


_P = Permission
_HOST = frozenset(p for p in Permission if p.is_host)
_MEMBER_READ = frozenset({_P.ORGANIZATION_OVERVIEW_READ, _P.ALERTS_READ, _P.APPROVALS_READ})
_MEMBER_RAISE = frozenset({_P.ALERTS_RAISE, _P.APPROVALS_REQUEST})
_MEMBER = _MEMBER_READ | {_P.APPROVALS_DECIDE}
_ADMINISTRATOR = frozenset(p for p in Permission if p.is_organization)
_SYSTEM_ADMINISTRATOR_INSIDE = frozenset({_P.RECORDS_READ})
_TOKEN: dict[Scope, frozenset[Permission]] = {
    Scope.SEND: frozenset({_P.ALERTS_RAISE, _P.APPROVALS_REQUEST}),
    Scope.READ: frozenset({_P.RECORDS_READ, _P.ALERTS_READ, _P.APPROVALS_READ, _P.SETTINGS_READ}),
    Scope.CONFIGURE: frozenset({_P.SETTINGS_READ, _P.SETTINGS_CHANGE, _P.RECORDS_CHANGE}),
}
_HOST_TOKEN: dict[Scope, frozenset[Permission]] = {
    Scope.SEND: frozenset(),
    Scope.READ: frozenset(
        {_P.HOST_RECORDS_READ, _P.HOST_SETTINGS_READ, _P.HOST_ORGANIZATIONS_READ}
    ),
    Scope.CONFIGURE: frozenset(
        {
            _P.HOST_SETTINGS_READ,
            _P.HOST_SETTINGS_CHANGE,
            _P.HOST_ORGANIZATIONS_READ,
            _P.HOST_ORGANIZATIONS_CHANGE,
            _P.HOST_RECORDS_CHANGE,
        }
    ),
}


@dataclass(frozen=True)
class Principal:
    """Who asks: a signed-in person, an API token, or nobody (both None)."""

    user: User | None = None
    session: SignInSession | None = None
    token: ApiToken | None = None
    ip: str | None = None

    @property
    def is_nobody(self) -> bool:
        return self.user is None and self.token is None

    @property
    def actor(self) -> Actor:
        """The same one for the audit table."""
        if self.user is not None:
            return Actor(
                ActorType.USER,
                str(self.user.id),
                self.ip,
                self.user.name,
                self.user.is_system_administrator,
            )
        if self.token is not None:
            return Actor(
                ActorType.TOKEN,
                str(self.token.id),
                self.ip,
                self.token.name,
                self.token.organization_id is None,
            )
        return Actor(ActorType.SYSTEM, None, self.ip, "nobody")


NOBODY = Principal()


def host_permissions(principal: Principal) -> frozenset[Permission]:
    """What the principal may do at the host."""
    if principal.token is not None:
        if principal.token.organization_id is not None:
            return frozenset()
        return _of_scopes(principal.token, _HOST_TOKEN)
    if principal.user is None:
        return frozenset()
    own = frozenset({Permission.ACCOUNT_CHANGE})
    return own | _HOST if principal.user.is_system_administrator else own


def organization_permissions(
    principal: Principal, organization: Organization, membership: Membership | None
) -> frozenset[Permission]:
    """What the principal may do in the organization. Empty: it must look absent."""
    if principal.token is not None:
        if principal.token.organization_id not in (None, organization.id):
            return frozenset()
        return _of_scopes(principal.token, _TOKEN)
    if principal.user is None:
        return frozenset()
    granted: frozenset[Permission] = frozenset()
    if membership is not None:
        granted |= _of_role(membership.role, organization)
    if principal.user.is_system_administrator:
        granted |= _SYSTEM_ADMINISTRATOR_INSIDE
        if principal.session is not None and principal.session.acting_in_id == organization.id:
            granted |= _ADMINISTRATOR
    return granted


def _of_role(role: Role, organization: Organization) -> frozenset[Permission]:
    if role is Role.ADMINISTRATOR:
        return _ADMINISTRATOR
    return _MEMBER | _MEMBER_RAISE if organization.members_may_raise else _MEMBER


def _of_scopes(token: ApiToken, table: dict[Scope, frozenset[Permission]]) -> frozenset[Permission]:
    return frozenset().union(*(table[Scope(scope)] for scope in token.scopes))
