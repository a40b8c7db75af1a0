"""Who may do what, written down a second time, apart from the code under test.

A new route is a decision: it is made here too. `PAGES` says who gets past the door of each page at
Acme; the same people's counterparts get past it at Globex, and to everyone else an organization
looks as if it did not exist. `API` says which scopes a token needs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.security.world import Who

# Sign-in, recovery, invitation, decision, health: also people who are not signed in.
EVERYONE = frozenset(Who)
SIGNED_IN = frozenset({Who.BOB, Who.ALICE, Who.CAROL, Who.DAVE, Who.RITA, Who.RITA_ACTING})
SYSTEM_ADMINISTRATORS = frozenset({Who.RITA, Who.RITA_ACTING})
MEMBERS = frozenset({Who.BOB, Who.ALICE, Who.DAVE, Who.RITA_ACTING})
ADMINISTRATORS = frozenset({Who.ALICE, Who.RITA_ACTING})
# A system administrator reads an organization's records without acting in it.
RECORD_READERS = frozenset({Who.ALICE, Who.RITA, Who.RITA_ACTING})

PAGES: Mapping[str, frozenset[Who]] = {
    "auth.decide": EVERYONE,
    "auth.decide_now": EVERYONE,
    "auth.home": EVERYONE,
    "auth.invitation": EVERYONE,
    "auth.invitation_accept": EVERYONE,
    "auth.new_password": EVERYONE,
    "auth.recovery": EVERYONE,
    "auth.recovery_asked": EVERYONE,
    "auth.set_up": EVERYONE,
    "auth.sign_in": EVERYONE,
    "auth.sign_out": EVERYONE,
    "health.live": EVERYONE,
    "health.ready": EVERYONE,
    "host.acting_stop": SYSTEM_ADMINISTRATORS,
    "host.administrator_invitation_resend": SYSTEM_ADMINISTRATORS,
    "host.administrator_invitation_withdraw": SYSTEM_ADMINISTRATORS,
    "host.administrator_new": SYSTEM_ADMINISTRATORS,
    "host.administrator_remove": SYSTEM_ADMINISTRATORS,
    "host.administrators": SYSTEM_ADMINISTRATORS,
    "host.api_token_new": SYSTEM_ADMINISTRATORS,
    "host.api_token_revoke": SYSTEM_ADMINISTRATORS,
    "host.api_tokens": SYSTEM_ADMINISTRATORS,
    "host.audit": SYSTEM_ADMINISTRATORS,
    "host.delivery_engine": SYSTEM_ADMINISTRATORS,
    "host.mail_catcher": SYSTEM_ADMINISTRATORS,
    "host.mail_catcher_html": SYSTEM_ADMINISTRATORS,
    "host.mail_catcher_mail": SYSTEM_ADMINISTRATORS,
    "host.mail_settings": SYSTEM_ADMINISTRATORS,
    "host.mail_settings_edit": SYSTEM_ADMINISTRATORS,
    "host.mail_settings_logo": SYSTEM_ADMINISTRATORS,
    "host.mail_settings_logo_image": SYSTEM_ADMINISTRATORS,
    "host.mail_settings_logo_remove": SYSTEM_ADMINISTRATORS,
    "host.organization": SYSTEM_ADMINISTRATORS,
    "host.organization_act": SYSTEM_ADMINISTRATORS,
    "host.organization_delete": SYSTEM_ADMINISTRATORS,
    "host.organization_limits": SYSTEM_ADMINISTRATORS,
    "host.organization_new": SYSTEM_ADMINISTRATORS,
    "host.organization_resume": SYSTEM_ADMINISTRATORS,
    "host.organization_suspend": SYSTEM_ADMINISTRATORS,
    "host.organizations": SYSTEM_ADMINISTRATORS,
    "host.overview": SYSTEM_ADMINISTRATORS,
    "host.record": SYSTEM_ADMINISTRATORS,
    "host.record_letter": SYSTEM_ADMINISTRATORS,
    "host.records": SYSTEM_ADMINISTRATORS,
    "host.records_suppressions": SYSTEM_ADMINISTRATORS,
    "host.records_send_restored": SYSTEM_ADMINISTRATORS,
    "host.records_suppressions_lift": SYSTEM_ADMINISTRATORS,
    "host.records_unknown": SYSTEM_ADMINISTRATORS,
    "host.records_unknown_confirm": SYSTEM_ADMINISTRATORS,
    "host.records_unknown_send": SYSTEM_ADMINISTRATORS,
    "host.sender": SYSTEM_ADMINISTRATORS,
    "host.sender_activate": SYSTEM_ADMINISTRATORS,
    "host.sender_default": SYSTEM_ADMINISTRATORS,
    "host.sender_delete": SYSTEM_ADMINISTRATORS,
    "host.sender_disable": SYSTEM_ADMINISTRATORS,
    "host.sender_edit": SYSTEM_ADMINISTRATORS,
    "host.sender_enable": SYSTEM_ADMINISTRATORS,
    "host.sender_new": SYSTEM_ADMINISTRATORS,
    "host.senders": SYSTEM_ADMINISTRATORS,
    "host.set_up_done": SYSTEM_ADMINISTRATORS,
    "host.set_up_platform": SYSTEM_ADMINISTRATORS,
    "host.set_up_sender": SYSTEM_ADMINISTRATORS,
    "me.profile": SIGNED_IN,
    "me.security": SIGNED_IN,
    "me.security_session_end": SIGNED_IN,
    "me.security_sessions_end": SIGNED_IN,
    "notifications.alert": MEMBERS,
    "notifications.alert_acknowledge": MEMBERS,
    "notifications.alert_new": MEMBERS,
    "notifications.alert_resolve": MEMBERS,
    "notifications.alerts": MEMBERS,
    "notifications.approval": MEMBERS,
    "notifications.approval_decide": MEMBERS,
    "notifications.approval_new": MEMBERS,
    "notifications.approval_withdraw": MEMBERS,
    "notifications.approvals": MEMBERS,
    "organization.api_token_new": ADMINISTRATORS,
    "organization.api_token_revoke": ADMINISTRATORS,
    "organization.api_tokens": ADMINISTRATORS,
    "organization.audit": ADMINISTRATORS,
    "organization.mail_settings": ADMINISTRATORS,
    "organization.mail_settings_edit": ADMINISTRATORS,
    "organization.mail_settings_logo": ADMINISTRATORS,
    "organization.mail_settings_logo_image": ADMINISTRATORS,
    "organization.mail_settings_logo_remove": ADMINISTRATORS,
    "organization.mail_settings_mode": ADMINISTRATORS,
    "organization.member": ADMINISTRATORS,
    "organization.member_invitation_resend": ADMINISTRATORS,
    "organization.member_invitation_withdraw": ADMINISTRATORS,
    "organization.member_new": ADMINISTRATORS,
    "organization.member_remove": ADMINISTRATORS,
    "organization.members": ADMINISTRATORS,
    "organization.overview": MEMBERS,
    "organization.record": RECORD_READERS,
    "organization.record_letter": RECORD_READERS,
    "organization.records": RECORD_READERS,
    "organization.records_suppressions": RECORD_READERS,
    "organization.records_suppressions_lift": ADMINISTRATORS,
    "organization.records_unknown": RECORD_READERS,
    "organization.records_unknown_confirm": ADMINISTRATORS,
    "organization.records_unknown_send": ADMINISTRATORS,
    "organization.routing": ADMINISTRATORS,
    "organization.routing_members_may_raise": ADMINISTRATORS,
    "organization.routing_new": ADMINISTRATORS,
    "organization.routing_rule": ADMINISTRATORS,
    "organization.routing_rule_remove": ADMINISTRATORS,
    "organization.sender": ADMINISTRATORS,
    "organization.sender_activate": ADMINISTRATORS,
    "organization.sender_default": ADMINISTRATORS,
    "organization.sender_delete": ADMINISTRATORS,
    "organization.sender_disable": ADMINISTRATORS,
    "organization.sender_edit": ADMINISTRATORS,
    "organization.sender_enable": ADMINISTRATORS,
    "organization.sender_new": ADMINISTRATORS,
    "organization.senders": ADMINISTRATORS,
}


@dataclass(frozen=True)
class Scopes:
    """Any of these opens the call: in an organization, and on a bare path for a host token (None:
    a host token has to name an organization). `host_only`: the host's own call."""

    organization: frozenset[str] = frozenset()
    host: frozenset[str] | None = None
    host_only: bool = False
    everyone: bool = False


_SEND = frozenset({"send"})
_READ = frozenset({"read"})
_CONFIGURE = frozenset({"configure"})
_LOOK = frozenset({"read", "configure"})

API: Mapping[str, Scopes] = {
    "api.openapi": Scopes(everyone=True),
    "api.raise_alert": Scopes(_SEND),
    "api.acknowledge_alert": Scopes(_SEND),
    "api.resolve_alert": Scopes(_SEND),
    "api.list_alerts": Scopes(_READ),
    "api.read_alert": Scopes(_READ),
    "api.request_approval": Scopes(_SEND),
    "api.withdraw_approval": Scopes(_SEND),
    "api.read_approval": Scopes(_READ),
    "api.list_deliveries": Scopes(_READ, host=_READ),
    "api.read_delivery": Scopes(_READ, host=_READ),
    "api.confirm_delivery": Scopes(_CONFIGURE, host=_CONFIGURE),
    "api.retry_delivery": Scopes(_CONFIGURE, host=_CONFIGURE),
    "api.list_suppressions": Scopes(_READ, host=_READ),
    "api.lift_suppression": Scopes(_CONFIGURE, host=_CONFIGURE),
    "api.list_senders": Scopes(_LOOK, host=_LOOK),
    "api.read_sender": Scopes(_LOOK, host=_LOOK),
    "api.create_sender": Scopes(_CONFIGURE, host=_CONFIGURE),
    "api.change_sender": Scopes(_CONFIGURE, host=_CONFIGURE),
    "api.delete_sender": Scopes(_CONFIGURE, host=_CONFIGURE),
    "api.test_sender": Scopes(_CONFIGURE, host=_CONFIGURE),
    "api.test_unsaved_sender": Scopes(_CONFIGURE, host=_CONFIGURE),
    "api.choose_default_sender": Scopes(_CONFIGURE, host=_CONFIGURE),
    "api.read_mail_settings": Scopes(_LOOK, host=_LOOK),
    "api.change_mail_settings": Scopes(_CONFIGURE, host=_CONFIGURE),
    "api.read_logo": Scopes(_LOOK, host=_LOOK),
    "api.set_logo": Scopes(_CONFIGURE, host=_CONFIGURE),
    "api.remove_logo": Scopes(_CONFIGURE, host=_CONFIGURE),
    "api.list_organizations": Scopes(host=_LOOK, host_only=True),
    "api.read_organization": Scopes(host=_LOOK, host_only=True),
    "api.create_organization": Scopes(host=_CONFIGURE, host_only=True),
    "api.change_organization": Scopes(host=_CONFIGURE, host_only=True),
    "api.delete_organization": Scopes(host=_CONFIGURE, host_only=True),
}

# Whose counterpart at Globex somebody is: what alice may at Acme, carol may at Globex.
_AT_GLOBEX = {
    Who.CAROL: Who.ALICE,
    Who.DAVE: Who.BOB,
    Who.RITA: Who.RITA,
    Who.RITA_ACTING: Who.RITA,
}
_KNOWN_AT_ACME = MEMBERS | RECORD_READERS
_TOKENS = {
    Who.ACME_SEND: ("acme", _SEND),
    Who.ACME_READ: ("acme", _READ),
    Who.ACME_CONFIGURE: ("acme", _CONFIGURE),
    Who.GLOBEX_TOKEN: ("globex", _SEND | _LOOK),
    Who.HOST_SEND: ("host", _SEND),
    Who.HOST_READ: ("host", _READ),
    Who.HOST_CONFIGURE: ("host", _CONFIGURE),
}

PASSES, UNKNOWN, FORBIDDEN, ABSENT = 200, 401, 403, 404


def page(endpoint: str, who: Who, slug: str | None) -> int:
    """What a page answers: PASSES, or the status of the refusal. `slug` None: not inside one."""
    allowed = PAGES[endpoint]
    if allowed == EVERYONE:
        return PASSES
    if who not in SIGNED_IN:
        return UNKNOWN
    if slug == "globex":
        counterpart = _AT_GLOBEX.get(who)
        if counterpart is None:
            return ABSENT
        return PASSES if counterpart in allowed else FORBIDDEN
    if slug is not None and who not in _KNOWN_AT_ACME:
        return ABSENT
    return PASSES if who in allowed else FORBIDDEN


def call(endpoint: str, who: Who, slug: str | None) -> int:
    """What the API answers. `slug` None: a bare path."""
    scopes = API[endpoint]
    if scopes.everyone:
        return PASSES
    if who not in _TOKENS:
        return UNKNOWN
    owner, held = _TOKENS[who]
    if scopes.host_only:
        return PASSES if owner == "host" and held & (scopes.host or set()) else FORBIDDEN
    if slug is not None and owner not in ("host", slug):
        return ABSENT
    wanted = scopes.host if owner == "host" and slug is None else scopes.organization
    return PASSES if held & (wanted or set()) else FORBIDDEN
