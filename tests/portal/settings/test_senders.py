"""Versions of a sender: when one becomes active, and where its secret may go."""

from datetime import timedelta
from typing import Any

import pytest

from portal import clock
from portal.audit.log import OPERATOR, Actor, ActorType
from portal.extensions import db
from portal.identity import organizations
from portal.settings import binding, effective, passes, senders
from portal.settings.models import Sender, VersionState
from portal.settings.scope import HOST, Scope
from portal.settings.senders import Clear, Keep, Replace, SecretChange
from portal.validation import Invalid, Stale
from portal.vault import VaultError
from tests import smtp_certificates

ADMINISTRATOR = Actor(ActorType.USER, "1", "192.0.2.1", "Carol")
SECRET = " a secret with white space "
VALUES: dict[str, Any] = {
    "display_name": "Alerts",
    "from_address": "alerts@globex.test",
    "server": "smtp.globex.test",
    "port": "587",
    "encryption": "starttls",
    "authentication": "password",
    "username": "alerts",
}
# Each decides where a secret goes, or whether the server's certificate is checked on the way.
DESTINATIONS: list[dict[str, Any]] = [
    {"server": "smtp.evil.test"},
    {"port": "2525"},
    {"encryption": "tls"},
    {"ca": smtp_certificates.authority_pem()},
    {"username": "root"},
    {"domain": "EVIL"},
    {"verify": False},
    {"encryption": "none", "allow_clear_login": True},
]
ids = [next(iter(change)) for change in DESTINATIONS]


def stored(scope: Scope = HOST, *, activate: bool | None = True) -> Sender:
    saved = senders.save(
        scope, "main", VALUES, secret=Replace(SECRET), actor=OPERATOR, activate=activate
    )
    db.session.flush()
    return saved.sender


def saved_again(
    sender: Sender,
    secret: SecretChange,
    actor: Actor = OPERATOR,
    activate: bool | None = None,
    **changes: Any,
) -> senders.Saved:
    scope = Scope(sender.organization_id)
    return senders.save(
        scope,
        sender.name,
        {**VALUES, **changes},
        secret=secret,
        actor=actor,
        sender=sender,
        activate=activate,
    )


def secret_in(sender: Sender, state: VersionState = VersionState.ACTIVE) -> str | None:
    version = effective.version_of(sender, state)
    assert version is not None
    return passes.secret_of(Scope(sender.organization_id), sender, version)


@pytest.mark.parametrize("change", DESTINATIONS, ids=ids)
def test_a_changed_destination_asks_for_the_secret_and_changes_nothing(
    session: Any, change: dict[str, Any]
) -> None:
    sender = stored()
    before = sender.revision

    with pytest.raises(Invalid) as caught:
        saved_again(sender, Keep(), **change)

    assert [error.field for error in caught.value.errors] == ["password"]
    assert (sender.revision, len(sender.versions)) == (before, 1)
    assert secret_in(sender) == SECRET


@pytest.mark.parametrize("change", DESTINATIONS, ids=ids)
def test_a_sealed_secret_does_not_open_for_another_destination(
    session: Any, change: dict[str, Any]
) -> None:
    sender = stored()
    (version,) = sender.versions
    elsewhere = senders.candidate(
        HOST, sender, {**VALUES, **change}, secret=Replace("x"), actor=OPERATOR
    )
    assert version.secret
    with pytest.raises(VaultError):
        binding.unseal(version.secret, scope=HOST, sender_id=sender.id, values=elsewhere.values)


def test_spelling_the_same_destination_otherwise_keeps_the_secret(session: Any) -> None:
    sender = stored()
    saved_again(sender, Keep(), server="SMTP.Globex.test.", port="", display_name="New name")
    assert secret_in(sender) == SECRET


def test_a_bundle_without_a_passed_test_is_not_active(session: Any) -> None:
    sender = stored(activate=None)
    assert [version.state for version in sender.versions] == [VersionState.DRAFT]


def test_a_pass_within_30_minutes_activates_what_is_saved(
    session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = senders.candidate(HOST, None, VALUES, secret=Replace(SECRET), actor=OPERATOR)
    senders.remember_pass(HOST, checked)
    sender = stored(activate=None)
    version = effective.version_of(sender, VersionState.ACTIVE)
    assert version is not None
    assert version.tested_at is not None

    saved_again(sender, Replace("another secret"))
    assert effective.version_of(sender, VersionState.DRAFT) is not None

    later = clock.utcnow() + timedelta(minutes=31)
    monkeypatch.setattr(passes, "utcnow", lambda: later)
    assert not passes.has_passed(HOST, checked.values, checked.secret)


@pytest.mark.parametrize(
    "change",
    [
        {"display_name": "Other"},
        {"per_minute": "20"},
        {"connect_timeout": "5"},
        {"connections": "2"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_names_rates_and_timeouts_need_no_test(session: Any, change: dict[str, Any]) -> None:
    sender = stored()
    saved = saved_again(sender, Keep(), **change)
    assert saved.version.state is VersionState.ACTIVE
    assert secret_in(sender) == SECRET


def test_the_active_version_sends_on_until_the_change_has_passed(session: Any) -> None:
    sender = stored()
    saved_again(sender, Replace("new"), server="smtp2.globex.test")

    active = effective.version_of(sender, VersionState.ACTIVE)
    assert active is not None
    assert active.server == "smtp.globex.test"
    assert secret_in(sender) == SECRET
    assert secret_in(sender, VersionState.DRAFT) == "new"


def test_saving_a_draft_twice_does_not_activate_its_untested_secret(session: Any) -> None:
    sender = stored()
    saved_again(sender, Replace("untested"))
    saved_again(sender, Keep(), per_minute="5")
    assert secret_in(sender) == SECRET
    assert secret_in(sender, VersionState.DRAFT) == "untested"


def test_only_the_host_activates_what_is_untested(session: Any) -> None:
    organization = organizations.create(name="Globex", short_name="globex", actor=OPERATOR)
    sender = stored(Scope.of(organization), activate=None)

    with pytest.raises(Invalid, match="active"):
        saved_again(sender, Keep(), ADMINISTRATOR, activate=True)
    with pytest.raises(Invalid, match="test mail"):
        senders.activate(Scope.of(organization), sender, actor=ADMINISTRATOR)

    senders.activate(Scope.of(organization), sender, actor=OPERATOR)
    assert effective.version_of(sender, VersionState.ACTIVE) is not None


def test_a_save_on_an_old_revision_is_refused(session: Any) -> None:
    sender = stored()
    opened = sender.revision
    saved_again(sender, Keep(), display_name="First")
    with pytest.raises(Stale):
        senders.save(
            HOST, "main", VALUES, secret=Keep(), actor=OPERATOR, sender=sender, revision=opened
        )


def test_a_name_is_taken_once_in_a_scope(session: Any) -> None:
    stored()
    with pytest.raises(Invalid, match="already"):
        stored()
    organization = organizations.create(name="Globex", short_name="globex", actor=OPERATOR)
    own = {**VALUES, "from_address": "main@globex.test"}
    senders.save(Scope.of(organization), "main", own, secret=Replace("x"), actor=OPERATOR)


def test_renaming_to_a_taken_name_is_refused(session: Any) -> None:
    sender = stored()
    senders.save(HOST, "other", VALUES, secret=Replace("x"), actor=OPERATOR)
    with pytest.raises(Invalid, match="already"):
        senders.save(HOST, "other", VALUES, secret=Keep(), actor=OPERATOR, sender=sender)


def test_every_refusal_is_told_at_once_with_the_missing_secret(session: Any) -> None:
    with pytest.raises(Invalid) as caught:
        senders.save(HOST, "", {**VALUES, "server": ""}, secret=Clear(), actor=OPERATOR)
    assert [error.field for error in caught.value.errors] == ["name", "server", "password"]


def test_deleting_the_default_leaves_the_scope_without_one(session: Any) -> None:
    sender = stored()
    assert effective.default_sender(HOST) is sender
    senders.delete(HOST, sender, actor=OPERATOR)
    db.session.flush()
    assert effective.default_sender(HOST) is None


@pytest.mark.parametrize("name", [".", "..", "...", "-", "_", "?!", "\u2026", " . ", "a/b", ""])
def test_a_name_of_punctuation_is_refused_and_an_existing_one_is_kept(
    session: Any, name: str
) -> None:
    with pytest.raises(Invalid, match="name: Name this sender"):
        senders.save(HOST, name, VALUES, secret=Replace(SECRET), actor=OPERATOR)
    sender = stored()
    with pytest.raises(Invalid, match="name: Name this sender"):
        senders.save(HOST, name, {}, secret=Keep(), actor=OPERATOR, sender=sender)
    sender.name = name.strip()
    senders.save(
        HOST, name, {"display_name": "Other"}, secret=Keep(), actor=OPERATOR, sender=sender
    )
    assert sender.name == name.strip()


def test_a_name_may_be_of_any_script(session: Any) -> None:
    for name in ("主发件人", "почта", "7", "a.b", "..main"):
        assert senders.save(HOST, name, VALUES, secret=Replace(SECRET), actor=OPERATOR).changed


def test_a_failing_sender_fails_on_until_a_change_takes_another_way(session: Any) -> None:
    sender = stored()
    probe_at = clock.utcnow() + timedelta(minutes=5)

    def failures_after(secret: SecretChange, **changes: Any) -> int:
        sender.consecutive_failures, sender.next_probe_at = 3, probe_at
        sender.last_failure_cause = "connection_refused"
        session.flush()
        assert saved_again(sender, secret, activate=True, **changes).changed
        assert (sender.next_probe_at is None) == (sender.consecutive_failures == 0)
        assert (sender.last_failure_cause is None) == (sender.consecutive_failures == 0)
        return sender.consecutive_failures

    kept: dict[str, Any] = {}
    for harmless in (
        {"display_name": "Alerts of Globex"},
        {"reply_to": "desk@globex.test"},
        {"per_minute": "20", "per_day": "400"},
        {"connections": "2", "priority": 7},
        {"kinds": ["alert"]},
    ):
        kept |= harmless
        assert failures_after(Keep(), **kept) == 3, harmless
    for other_way in (
        {"from_address": "alarms@globex.test"},
        {"envelope_sender": "bounces@globex.test"},
        {"ehlo_name": "mail.globex.test"},
    ):
        kept |= other_way
        assert failures_after(Keep(), **kept) == 0, other_way
    for change in DESTINATIONS:
        kept |= change
        assert failures_after(Replace(SECRET), **kept) == 0, change
    assert failures_after(Replace("another"), **kept) == 0
    assert failures_after(Replace("another"), **kept) == 0, "typed again: somebody means it"


def test_a_draft_that_only_changes_a_name_makes_no_failing_sender_well(session: Any) -> None:
    sender = stored()
    sender.consecutive_failures = 2
    saved_again(sender, Keep(), activate=False, display_name="Alarms")
    assert sender.consecutive_failures == 2
    senders.activate(HOST, sender, actor=OPERATOR)
    assert sender.consecutive_failures == 2
    saved_again(sender, Replace(SECRET), activate=False, server="mx.globex.test")
    assert sender.consecutive_failures == 2, "the active version sends on"
    senders.activate(HOST, sender, actor=OPERATOR)
    assert sender.consecutive_failures == 0
