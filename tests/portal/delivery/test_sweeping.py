"""Between mails: events from above, what is held or too old, and what an event has missed."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from portal import jobs
from portal.audit.log import OPERATOR
from portal.clock import utcnow
from portal.delivery import sweeping
from portal.delivery.models import DeliverySecret, State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity import organizations
from portal.identity.models import Organization
from portal.jobs import Event
from portal.settings import changes, effective, senders
from portal.settings.models import Sender, VersionState
from portal.settings.scope import HOST, Scope
from tests.cast import Cast
from tests.delivering import aim, all_in, enqueue, hurry, outcomes, record, take_turns
from tests.smtp_server import SmtpServer, reply

ANN = Addressee("ann@x.test")
INVITATION = {
    "person_name": "Eve",
    "organization_name": "Acme",
    "role": "member",
    "invited_by": "Alice",
}


def settings(scope: Scope, **values: Any) -> None:
    changes.save_mail_settings(scope, values, actor=OPERATOR)
    db.session.commit()


def own_sender(organization: Organization) -> Sender:
    found = senders.find(Scope.of(organization), "main")
    assert found
    return found


def state_of(one: uuid.UUID) -> tuple[str, str | None]:
    return record(one).state.value, record(one).reason


def to(person: Any) -> Addressee:
    return Addressee(person.email, person.id)


def rows(model: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


Step = Callable[[Organization], None]


def mail_off(globex: Organization) -> None:
    settings(Scope.of(globex), mode="off")


def mail_on(globex: Organization) -> None:
    settings(Scope.of(globex), mode="own")


def default_deleted(globex: Organization) -> None:
    senders.delete(Scope.of(globex), own_sender(globex), actor=OPERATOR)
    db.session.commit()


def new_default(globex: Organization) -> None:
    port = senders.find(HOST, "platform")
    version = effective.version_of(port, VersionState.ACTIVE) if port else None
    assert version
    values = {
        "display_name": "Globex",
        "from_address": "second@globex.test",
        "server": "127.0.0.1",
        "port": version.port,
        "encryption": "none",
        "authentication": "none",
    }
    scope = Scope.of(globex)
    none = senders.Clear()
    senders.save(scope, "second", values, secret=none, actor=OPERATOR, activate=True)
    changes.set_default_sender(scope, "second", actor=OPERATOR)
    db.session.commit()


def disabled(globex: Organization) -> None:
    senders.switch(Scope.of(globex), own_sender(globex), enabled=False, actor=OPERATOR)
    db.session.commit()


def enabled(globex: Organization) -> None:
    senders.switch(Scope.of(globex), own_sender(globex), enabled=True, actor=OPERATOR)
    db.session.commit()


def own_forbidden(globex: Organization) -> None:
    settings(Scope.of(globex), own_senders_allowed=False)


def own_allowed(globex: Organization) -> None:
    settings(Scope.of(globex), own_senders_allowed=True)


def suspended(globex: Organization) -> None:
    organizations.suspend(globex, actor=OPERATOR)
    db.session.commit()


def resumed(globex: Organization) -> None:
    organizations.resume(globex, actor=OPERATOR)
    db.session.commit()


@pytest.mark.fault(52)
@pytest.mark.parametrize(
    ("stop", "reason", "go_on", "sender"),
    [
        (suspended, "organization_suspended", resumed, "alerts@globex.test"),
        (mail_off, "mail_off", mail_on, "alerts@globex.test"),
        (default_deleted, "not_configured", new_default, "second@globex.test"),
        (disabled, "not_configured", enabled, "alerts@globex.test"),
        (own_forbidden, "own_senders_not_allowed", own_allowed, "alerts@globex.test"),
    ],
)
def test_queued_mail_is_held_when_its_sender_goes_and_released_when_there_is_one(
    globex: Organization, server: SmtpServer, stop: Step, reason: str, go_on: Step, sender: str
) -> None:
    (one,) = enqueue(globex, ANN)
    stop(globex)
    take_turns()
    assert state_of(one) == ("held", reason)
    assert outcomes(one) == []
    assert server.messages == []

    go_on(globex)
    take_turns()
    assert record(one).state is State.ACCEPTED
    assert [message.mail_from for message in server.messages] == [sender]


def test_the_hosts_switch_holds_queued_mail_and_releases_it(
    acme: Organization, globex: Organization, cast: Cast, server: SmtpServer
) -> None:
    (ours,) = enqueue(acme, to(cast.alice))
    (theirs,) = enqueue(globex, ANN)
    (security,) = enqueue(
        globex,
        Addressee("eve@x.test", secrets={"invitation_url": "https://x.test"}),
        kind="security.invitation",
        data=INVITATION,
    )
    settings(HOST, enabled=False)
    take_turns()
    assert state_of(ours) == state_of(security) == ("held", "host_mail_off")
    assert record(theirs).state is State.ACCEPTED

    settings(HOST, enabled=True)
    take_turns()
    assert all_in(State.ACCEPTED, [ours, security])()
    assert len(server.messages) == 3


def test_a_change_of_one_organization_wakes_no_held_mail_of_another(
    acme: Organization, globex: Organization, cast: Cast
) -> None:
    settings(HOST, enabled=False)
    sweeping.handle_events()
    (held,) = enqueue(acme, to(cast.alice))
    settings(Scope.of(globex), title_prefix="[G]")
    assert sweeping.handle_events() == 1
    assert state_of(held) == ("held", "host_mail_off")


@pytest.mark.fault(55)
def test_held_mail_expires_in_its_time_with_its_links(globex: Organization) -> None:
    settings(Scope.of(globex), default_sender=None)
    (old,) = enqueue(globex, Addressee("ann@x.test", secrets={"link": "https://x.test"}))
    (young,) = enqueue(globex, ANN)
    record(old).expires_at = utcnow() - timedelta(seconds=1)
    db.session.commit()
    sweeping.expire()

    assert state_of(old) == ("expired", "expired")
    assert state_of(young) == ("held", "not_configured")
    assert rows(DeliverySecret) == 0


@pytest.mark.fault(55)
def test_queued_mail_that_outlived_its_time_is_not_sent(
    globex: Organization, server: SmtpServer
) -> None:
    (one,) = enqueue(globex, ANN)
    record(one).expires_at = utcnow() - timedelta(seconds=1)
    db.session.commit()
    take_turns()
    assert state_of(one) == ("expired", "expired")
    assert server.connections == 0


def test_what_is_over_does_not_expire(globex: Organization, server: SmtpServer) -> None:
    (sent,) = enqueue(globex, ANN)
    take_turns()
    record(sent).expires_at = utcnow() - timedelta(days=1)
    db.session.commit()
    sweeping.expire()
    assert record(sent).state is State.ACCEPTED


def strand(one: uuid.UUID, reason: str, **values: Any) -> None:
    """As if the mail had been held by settings that had changed a moment before."""
    delivery = record(one)
    delivery.state, delivery.reason, delivery.next_attempt_at = State.HELD, reason, None
    for key, value in values.items():
        setattr(delivery, key, value)
    db.session.commit()


@pytest.mark.parametrize("reason", ["not_configured", "mail_off", "secret_does_not_open"])
def test_mail_held_at_the_moment_of_a_change_is_found_without_an_event(
    globex: Organization, server: SmtpServer, reason: str
) -> None:
    (one,) = enqueue(globex, ANN)
    strand(one, reason)
    take_turns()
    assert state_of(one) == ("held", reason)
    sweeping.release_stranded()
    take_turns()
    assert record(one).state is State.ACCEPTED


def test_mail_of_a_sender_that_recovered_meanwhile_is_found_without_an_event(
    globex: Organization,
) -> None:
    (one,) = enqueue(globex, ANN)
    strand(one, "sender_failing", sender_id=own_sender(globex).id)
    sweeping.release_stranded()
    assert record(one).state is State.QUEUED


def test_mail_of_a_paused_sender_is_not_stranded(globex: Organization, server: SmtpServer) -> None:
    server.set_script(greeting=reply("554 5.3.2 not you"))
    (one,) = enqueue(globex, ANN)
    take_turns()
    sweeping.release_stranded()
    assert state_of(one) == ("held", "sender_failing")


def test_mail_that_still_has_no_sender_stays_held(globex: Organization) -> None:
    settings(Scope.of(globex), default_sender=None)
    (one,) = enqueue(globex, ANN)
    sweeping.release_stranded()
    assert state_of(one) == ("held", "not_configured")


def test_security_mail_is_not_released_because_the_organization_has_a_sender(
    globex: Organization,
) -> None:
    settings(HOST, enabled=False)
    (one,) = enqueue(
        globex,
        Addressee("eve@x.test", secrets={"invitation_url": "https://x.test"}),
        kind="security.invitation",
        data=INVITATION,
    )
    sweeping.release_stranded()
    assert state_of(one) == ("held", "host_mail_off")


def test_a_secret_that_does_not_open_stops_nobody_elses_mail(
    acme: Organization, globex: Organization, cast: Cast, server: SmtpServer
) -> None:
    login = {"authentication": "password", "username": "globex", "allow_clear_login": True}
    (theirs,) = enqueue(globex, ANN)
    aim(Scope.of(globex), "main", server, secret="a password", **login)
    version = effective.version_of(own_sender(globex), VersionState.ACTIVE)
    assert version
    version.username = "somebody else"
    db.session.commit()
    (ours,) = enqueue(acme, to(cast.alice))
    take_turns()
    sweeping.release_stranded()
    take_turns()

    assert state_of(theirs) == ("held", "secret_does_not_open")
    assert record(ours).state is State.ACCEPTED
    assert server.auth_bytes == 0


def test_a_letter_sealed_with_a_missing_key_waits_for_the_next_start(
    globex: Organization,
) -> None:
    (one,) = enqueue(globex, ANN)
    strand(one, "letter_does_not_open")
    sweeping.release_stranded()
    assert record(one).state is State.HELD
    sweeping.release_sealed()
    assert record(one).state is State.QUEUED


def test_a_probe_is_the_most_urgent_and_oldest_of_what_was_tried_least(
    globex: Organization, server: SmtpServer
) -> None:
    server.set_script(greeting=reply("554 5.3.2 not you"))
    ids = enqueue(globex, *(Addressee(f"{n}@x.test") for n in range(3)))
    take_turns()
    hurry()
    sweeping.probe_paused_senders()
    tried = [one for one in ids if outcomes(one)]
    queued = [one for one in ids if record(one).state is State.QUEUED]
    assert (tried, queued) == ([min(ids)], [sorted(ids)[1]])


def test_a_probe_is_not_sent_before_its_time(globex: Organization, server: SmtpServer) -> None:
    server.set_script(greeting=reply("554 5.3.2 not you"))
    (one,) = enqueue(globex, ANN)
    take_turns()
    sweeping.probe_paused_senders()
    assert state_of(one) == ("held", "sender_failing")


def test_an_event_nobody_knows_is_put_away(globex: Organization) -> None:
    jobs.emit("something_new", organization_id=globex.id, what=1)
    db.session.commit()
    assert sweeping.handle_events() == 1
    assert rows(Event) == 0
