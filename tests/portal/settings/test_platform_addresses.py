"""An organization does not send as the platform: not from its addresses, nor by its name."""

from typing import Any

import pytest

from portal.audit.log import OPERATOR, Actor, ActorType
from portal.extensions import db
from portal.identity import organizations
from portal.settings import changes, effective, senders
from portal.settings.effective import Resolved
from portal.settings.models import Sender, VersionState
from portal.settings.scope import HOST, Scope
from portal.settings.senders import Keep
from portal.validation import Invalid

ADMINISTRATOR = Actor(ActorType.USER, "1", "192.0.2.1", "Carol")
RELAY: dict[str, Any] = {"server": "relay.plat.test", "port": 25, "encryption": "none"}
PLATFORM = {
    **RELAY,
    "display_name": "Platform",
    "from_address": "no-reply@plat.test",
    "envelope_sender": "bounces@plat.test",
}
GLOBEX = {**RELAY, "display_name": "Globex", "from_address": "mail@globex.test"}


@pytest.fixture
def scope(session: Any) -> Scope:
    changes.save_mail_settings(HOST, {"display_name": "Acme Cloud"}, actor=OPERATOR)
    senders.save(HOST, "platform", PLATFORM, secret=Keep(), actor=OPERATOR, activate=True)
    return Scope.of(organizations.create(name="Globex", short_name="globex", actor=OPERATOR))


def save(
    scope: Scope, raw: dict[str, Any], actor: Actor = OPERATOR, sender: Sender | None = None
) -> Sender:
    saved = senders.save(
        scope,
        "main",
        raw,
        secret=Keep(),
        actor=actor,
        sender=sender,
        activate=True if actor.is_host else None,
    )
    return saved.sender


def refused(scope: Scope, *rest: Any, **more: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        save(scope, *rest, **more)
    return [(error.field, error.message) for error in caught.value.errors]


def test_no_field_of_an_organizations_sender_takes_an_address_of_the_platform(scope: Scope) -> None:
    own = "is the platform's own address. Enter one of your own."
    wrong = {
        **GLOBEX,
        "from_address": "NO-REPLY@Plat.test",
        "envelope_sender": "no-reply@plat.test",
        "allowed_from": ["@plat.test", "Bounces@plat.test", "hr@globex.test"],
    }
    for actor in (OPERATOR, ADMINISTRATOR):
        assert refused(scope, wrong, actor) == [
            ("allowed_from", f"Bounces@plat.test {own}"),
            ("from_address", f"NO-REPLY@plat.test {own}"),
            ("envelope_sender", f"no-reply@plat.test {own}"),
        ]
    sender = save(scope, {**GLOBEX, "allowed_from": ["@plat.test"], "reply_to": "x@plat.test"})
    assert refused(scope, {"from_address": "bounces@plat.test"}, ADMINISTRATOR, sender) == [
        ("from_address", f"bounces@plat.test {own}")
    ]
    save(scope, {"from_address": "hr@plat.test"}, sender=sender)


def test_a_draft_of_the_host_counts_and_what_it_used_once_does_not(scope: Scope) -> None:
    sender = senders.find(HOST, "platform")
    new = {**PLATFORM, "from_address": "new@plat.test", "envelope_sender": None}
    senders.save(
        HOST, "platform", new, secret=Keep(), actor=OPERATOR, sender=sender, activate=False
    )
    for address in ("new@plat.test", "no-reply@plat.test"):
        assert refused(scope, {**GLOBEX, "from_address": address})
    assert sender
    senders.activate(HOST, sender, actor=OPERATOR)
    assert refused(scope, {**GLOBEX, "from_address": "new@plat.test"})
    save(scope, {**GLOBEX, "from_address": "no-reply@plat.test"})


def test_a_sender_that_had_the_address_first_sends_on_until_it_is_touched(scope: Scope) -> None:
    sender = save(scope, {**GLOBEX, "from_address": "shared@plat.test"})
    senders.save(
        scope,
        "main",
        {**GLOBEX, "from_address": "later@plat.test"},
        secret=Keep(),
        actor=OPERATOR,
        sender=sender,
        activate=False,
    )
    for name in ("shared", "later"):
        taken = {**RELAY, "display_name": "Platform", "from_address": f"{name}@plat.test"}
        senders.save(HOST, name, taken, secret=Keep(), actor=OPERATOR, activate=True)
    changes.save_mail_settings(scope, {"mode": "own"}, actor=OPERATOR)
    assert isinstance(
        found := effective.resolve_sender(sender, organizations.by_slug("globex")), Resolved
    )
    assert found.from_address == "shared@plat.test"
    assert [field for field, _said in refused(scope, {"port": 26}, sender=sender)] == [
        "from_address"
    ]
    with pytest.raises(Invalid, match="later@plat"):
        senders.activate(scope, sender, actor=OPERATOR)
    senders.switch(scope, sender, enabled=False, actor=ADMINISTRATOR)
    with pytest.raises(Invalid, match="shared@plat"):
        senders.switch(scope, sender, enabled=True, actor=ADMINISTRATOR)
    save(scope, {"from_address": "mail@globex.test"}, sender=sender)
    senders.switch(scope, sender, enabled=True, actor=ADMINISTRATOR)
    senders.delete(scope, sender, actor=ADMINISTRATOR)


def test_the_name_of_the_platform_is_refused_as_a_senders_too(scope: Scope) -> None:
    for name in ("acme cloud", "Platform", "Acme Cloud (support)"):
        ((field, said),) = refused(scope, {**GLOBEX, "display_name": name}, ADMINISTRATOR)
        assert field == "display_name"
        assert "Enter the name of your organization." in said
    sender = save(scope, {**GLOBEX, "display_name": "Acme Cloud"})
    save(scope, {"port": 26}, ADMINISTRATOR, sender)
    db.session.flush()
    draft = effective.version_of(sender, VersionState.DRAFT)
    assert draft and draft.display_name == "Acme Cloud"
    save(scope, {"display_name": "Globex at Acme Cloud"}, ADMINISTRATOR, sender)
