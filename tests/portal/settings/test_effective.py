"""Which bundle and which identity apply, for every subset of what an organization can set."""

import itertools
import uuid
from typing import Any

import pytest
from flask import Flask

from portal.audit.log import OPERATOR
from portal.extensions import db
from portal.identity import organizations
from portal.identity.models import Organization
from portal.kinds import BY_KEY
from portal.settings import changes, effective, logos, senders
from portal.settings.effective import NoSender, NoSenderReason, Origin, Resolved
from portal.settings.mail_rules import INHERITED_KEYS
from portal.settings.scope import HOST, Scope
from portal.settings.senders import Keep, Replace
from tests import images

ALERT, INVITATION = BY_KEY["alert.raised"], BY_KEY["security.invitation"]
HOST_SECRET, OWN_SECRET = "host secret", "own secret"

# Everything that an Administrator can set about mail; each alone, and every set of them.
CHOICES: dict[str, Any] = {
    "mode": "own",
    "display_name": "Globex",
    "reply_to": "office@globex.test",
    "title_prefix": "[Globex]",
    "language": "zh",
    "footer": "Globex, Harbour 1",
    "retention_days": 30,
    "fallback": True,
    "default_sender": "main",
}
SUBSETS = [
    set(keys)
    for count in range(len(CHOICES) + 1)
    for keys in itertools.combinations(CHOICES, count)
]

# What letters wear beside that: each subset in one of these, in turn.
COLOUR = {"accent_color": "#0b5a6b"}
DRESSES: list[set[str]] = [set(), {"accent_color"}, {"logo"}, {"accent_color", "logo"}]


def host_sender(**changed: Any) -> None:
    values = sender_values("mail.host.test", "no-reply@host.test")
    senders.save(
        HOST,
        "platform",
        {**values, "display_name": "Platform", **changed},
        secret=Replace(HOST_SECRET),
        actor=OPERATOR,
        activate=True,
    )


def own_sender(scope: Scope, name: str = "main") -> None:
    values = sender_values("mail.globex.test", "alerts@globex.test")
    senders.save(scope, name, values, secret=Replace(OWN_SECRET), actor=OPERATOR, activate=True)


def sender_values(server: str, address: str) -> dict[str, Any]:
    return {
        "display_name": "Alerts",
        "from_address": address,
        "server": server,
        "authentication": "password",
    }


def globex() -> Organization:
    return organizations.create(name="Globex", short_name="globex", actor=OPERATOR)


def test_no_bundle_mixes_owners_whatever_an_organization_sets(session: Any) -> None:
    """For every subset of its fields: a bundle is the host's, whole, or its own, whole."""
    host_sender()
    organization = globex()
    scope = Scope.of(organization)
    own_sender(scope)
    clear = dict.fromkeys((*CHOICES, *COLOUR), None) | {"mode": "inherit", "fallback": False}
    seen = set()
    for number, subset in enumerate(SUBSETS):
        dress = DRESSES[number % len(DRESSES)]
        given = {key: CHOICES[key] for key in subset} | {
            key: COLOUR[key] for key in dress & {*COLOUR}
        }
        changes.save_mail_settings(scope, clear | given, actor=OPERATOR)
        if "logo" in dress:
            logos.save(scope, images.LOGO, actor=OPERATOR)
        else:
            logos.remove(scope, actor=OPERATOR)
        found = effective.identity(organization).items()
        own = {key for key, value in found if value.origin is Origin.ORGANIZATION}
        assert own == (subset | dress) & {*INHERITED_KEYS}
        for kind in (ALERT, INVITATION):
            resolved = effective.resolve(organization, kind)
            if isinstance(resolved, NoSender):
                assert "mode" in subset
                assert "default_sender" not in subset
                assert resolved.reason is NoSenderReason.NOT_CONFIGURED
                continue
            seen.add(whole(resolved, scope))
    assert len(SUBSETS) == 512
    assert seen == {"host", "organization"}


def whole(resolved: Resolved, scope: Scope) -> str:
    """Whose the bundle is. Fails where one of its parts belongs to somebody else."""
    bundle = resolved.bundle
    parts = (bundle.owner, bundle.server, bundle.from_address, bundle.login_name, bundle.secret)
    if resolved.level is Origin.HOST:
        assert parts == (
            "host",
            "mail.host.test",
            "no-reply@host.test",
            "no-reply@host.test",
            HOST_SECRET,
        )
        return "host"
    assert parts == (
        str(scope.organization_id),
        "mail.globex.test",
        "alerts@globex.test",
        "alerts@globex.test",
        OWN_SECRET,
    )
    return "organization"


def test_each_identity_field_inherits_by_itself(session: Any) -> None:
    organization = globex()
    scope = Scope.of(organization)
    changes.save_mail_settings(
        HOST,
        {"title_prefix": "[Host]", "language": "zh", "footer": "Host", "retention_days": 200},
        actor=OPERATOR,
    )
    for key in ("title_prefix", "language", "footer", "retention_days"):
        inherited = effective.identity(organization)[key]
        assert inherited.origin is Origin.HOST
        assert inherited.value == effective.identity(None)[key].value
        changes.save_mail_settings(scope, {key: CHOICES[key]}, actor=OPERATOR)
        assert effective.identity(organization)[key] == effective.Value(
            CHOICES[key], Origin.ORGANIZATION
        )
        changes.save_mail_settings(scope, {key: None}, actor=OPERATOR)
        assert effective.identity(organization)[key] == inherited


def test_replies_and_with_own_senders_the_name_are_not_the_platforms(session: Any) -> None:
    organization = globex()
    changes.save_mail_settings(
        HOST, {"display_name": "Acme Cloud", "reply_to": "help@host.test"}, actor=OPERATOR
    )
    assert effective.identity(organization)["display_name"].value == "Acme Cloud"
    assert effective.identity(organization)["reply_to"].value is None

    changes.save_mail_settings(Scope.of(organization), {"mode": "own"}, actor=OPERATOR)
    assert effective.identity(organization)["display_name"].value is None


def test_on_the_hosts_sender_the_name_says_via_whom(session: Any) -> None:
    host_sender(reply_to="help@host.test")
    organization = globex()

    resolved = effective.resolve(organization, ALERT)

    assert isinstance(resolved, Resolved)
    assert resolved.from_name == "Globex (via Platform)"
    assert resolved.reply_to is None


def test_security_mail_leaves_by_the_host_whatever_the_mode(session: Any) -> None:
    host_sender()
    organization = globex()
    own_sender(Scope.of(organization))
    for mode in ("inherit", "own", "off"):
        changes.save_mail_settings(Scope.of(organization), {"mode": mode}, actor=OPERATOR)
        resolved = effective.resolve(organization, INVITATION)
        assert isinstance(resolved, Resolved)
        assert resolved.level is Origin.HOST
        assert resolved.from_name == "Platform"


@pytest.mark.parametrize("is_host", [True, False])
def test_without_a_default_that_is_enabled_a_scope_is_not_configured(
    session: Any, is_host: bool
) -> None:
    organization = globex()
    scope = HOST if is_host else Scope.of(organization)
    changes.save_mail_settings(
        Scope.of(organization), {"mode": "inherit" if is_host else "own"}, actor=OPERATOR
    )
    nothing = NoSender(NoSenderReason.NOT_CONFIGURED)
    assert effective.resolve(organization, ALERT) == nothing

    host_sender() if is_host else own_sender(scope)
    (sender,) = senders.all_of(scope)
    assert isinstance(effective.resolve(organization, ALERT), Resolved)

    senders.switch(scope, sender, enabled=False, actor=OPERATOR)
    assert effective.resolve(organization, ALERT) == nothing
    senders.switch(scope, sender, enabled=True, actor=OPERATOR)
    assert isinstance(effective.resolve(organization, ALERT), Resolved)

    senders.delete(scope, sender, actor=OPERATOR)
    db.session.flush()
    assert effective.resolve(organization, ALERT) == nothing


def test_off_stops_and_a_lock_holds(session: Any) -> None:
    host_sender()
    organization = globex()
    scope = Scope.of(organization)
    own_sender(scope)
    changes.save_mail_settings(scope, {"mode": "own"}, actor=OPERATOR)
    changes.save_mail_settings(scope, {"own_senders_allowed": False}, actor=OPERATOR)
    assert effective.resolve(organization, ALERT) == NoSender(NoSenderReason.NOT_ALLOWED)

    changes.save_mail_settings(scope, {"mode": "off"}, actor=OPERATOR)
    assert effective.resolve(organization, ALERT) == NoSender(NoSenderReason.MAIL_OFF)
    assert effective.settings_of(scope).mode_before_off == "own"

    changes.save_mail_settings(scope, {"mode": "inherit"}, actor=OPERATOR)
    changes.save_mail_settings(HOST, {"enabled": False}, actor=OPERATOR)
    assert effective.resolve(organization, ALERT) == NoSender(NoSenderReason.HOST_OFF)


def test_a_scope_without_a_row_has_the_defaults(app: Flask, session: Any) -> None:
    settings = effective.settings_of(Scope(uuid.uuid4()))
    assert (settings.mode, settings.own_senders_allowed, settings.fallback) == (
        "inherit",
        True,
        False,
    )


@pytest.mark.parametrize(
    ("kinds", "first"),
    [([], "main"), (["alert"], "other"), (["alert.raised"], "other"), (["approval"], "main")],
)
def test_a_sender_that_names_the_kind_goes_before_the_default(
    session: Any, kinds: list[str], first: str
) -> None:
    organization = globex()
    scope = Scope.of(organization)
    changes.save_mail_settings(scope, {"mode": "own"}, actor=OPERATOR)
    own_sender(scope)
    own_sender(scope, "other")
    other = senders.find(scope, "other")
    senders.save(scope, "other", {"kinds": kinds}, secret=Keep(), actor=OPERATOR, sender=other)

    routes = effective.routes(organization, ALERT)
    resolved = effective.resolve(organization, ALERT)

    assert isinstance(routes, list)
    assert isinstance(resolved, Resolved)
    assert resolved.bundle.name == routes[0].name == first
    assert {sender.name for sender in routes} == {"main", "other"}
