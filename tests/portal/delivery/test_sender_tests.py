"""Testing a sender: limits, the record of the mail, what a pass activates, what a secret is for."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from portal.audit.log import OPERATOR, Actor
from portal.clock import utcnow
from portal.delivery import recovering, sender_tests
from portal.delivery.models import Delivery, Level, State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings import effective, senders
from portal.settings.models import PassedTest, TestRun, VersionState
from portal.settings.scope import HOST, Scope
from portal.settings.senders import Clear, Keep
from portal.validation import Invalid
from tests.delivering import aim, end_leases, enqueue, take_turns
from tests.portal.delivery.sender_testing import rows, run, values
from tests.smtp_server import SmtpServer, drop, reply


def the_record() -> Delivery:
    db.session.rollback()
    return db.session.scalars(select(Delivery)).one()


def test_a_check_sends_nothing_and_leaves_no_record(
    globex: Organization, carol: Actor, server: SmtpServer
) -> None:
    report = run(globex, values(server), carol, check_only=True)
    assert report.passed
    assert not report.sent
    assert server.messages == []
    assert rows(Delivery) == rows(PassedTest) == 0
    assert rows(TestRun) == 1


def test_a_test_mail_leaves_a_record_like_every_other_mail(
    globex: Organization, carol: Actor, server: SmtpServer
) -> None:
    report = run(globex, values(server), carol)
    assert report.passed
    assert report.sent
    record = the_record()
    (message,) = server.messages
    assert message.recipients == ("carol@globex.test",)
    assert message.mail_from == "new@globex.test"
    body = message.message.get_body(("plain",))
    assert body and "Your mail server is configured successfully." in body.get_content()
    assert message.message["Message-ID"] == record.message_id
    assert (record.state, record.level, record.kind) == (
        State.ACCEPTED,
        Level.ORGANIZATION,
        "mail.test",
    )
    assert record.organization_id == globex.id
    assert record.requested_from == "192.0.2.7"
    assert (record.lease_owner, record.dot_pending) == (None, False)
    (attempt,) = record.attempts
    assert attempt.outcome == "accepted"
    assert [step["phase"] for step in attempt.phases][-1] == "dot"
    assert not any("Password" in str(value) for value in vars(record).values())


def test_a_test_of_a_host_sender_belongs_to_the_host(
    acme: Organization, server: SmtpServer
) -> None:
    run(None, values(server), OPERATOR, name="another")
    record = the_record()
    assert (record.organization_id, record.level) == (None, Level.HOST)


def test_a_refused_test_mail_has_failed_and_activates_nothing(
    globex: Organization, carol: Actor, server: SmtpServer
) -> None:
    server.set_script(dot=[reply("554 5.7.1 spam")])
    report = run(globex, values(server), carol)
    assert not report.passed
    record = the_record()
    assert (record.state, record.reason, record.code) == (State.FAILED, "content_refused", 554)
    assert record.attempts[0].outcome == "failed"
    assert rows(PassedTest) == 0


def test_a_test_mail_whose_answer_was_lost_is_unknown_and_not_sent_again(
    globex: Organization, carol: Actor, server: SmtpServer
) -> None:
    server.set_script(dot=[drop()])
    run(globex, values(server), carol)
    record = the_record()
    assert (record.state, record.reason) == (State.UNKNOWN, "lost_after_dot")
    assert record.attempts[0].outcome == "unknown"
    take_turns()
    assert the_record().state is State.UNKNOWN
    assert server.messages == []


def test_a_test_whose_process_died_ends_as_unknown(
    globex: Organization, carol: Actor, server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Died(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Died

    monkeypatch.setattr(sender_tests, "_finish", die)
    with pytest.raises(Died):
        run(globex, values(server), carol)
    assert the_record().state is State.SENDING
    end_leases()
    recovering.recover_expired()
    take_turns()
    assert (the_record().state, the_record().reason) == (State.UNKNOWN, "worker_lost")
    assert the_record().attempts[0].outcome == "unknown"


def test_a_pass_lets_the_same_values_be_saved_as_active(
    globex: Organization, carol: Actor, server: SmtpServer
) -> None:
    raw = values(server)
    run(globex, raw, carol, name="second")
    scope = Scope.of(globex)
    same = senders.save(scope, "second", raw, secret=Clear(), actor=carol)
    assert same.version.state is VersionState.ACTIVE
    other = senders.save(
        scope, "third", raw | {"from_address": "x@globex.test"}, secret=Clear(), actor=carol
    )
    assert other.version.state is VersionState.DRAFT


def test_a_pass_is_forgotten_after_half_an_hour(
    globex: Organization, carol: Actor, server: SmtpServer
) -> None:
    raw = values(server)
    run(globex, raw, carol, name="second")
    db.session.execute(update(PassedTest).values(at=utcnow() - timedelta(minutes=31)))
    saved = senders.save(Scope.of(globex), "second", raw, secret=Clear(), actor=carol)
    assert saved.version.state is VersionState.DRAFT


def test_a_check_is_no_pass(globex: Organization, carol: Actor, server: SmtpServer) -> None:
    raw = values(server)
    run(globex, raw, carol, name="second", check_only=True)
    saved = senders.save(Scope.of(globex), "second", raw, secret=Clear(), actor=carol)
    assert saved.version.state is VersionState.DRAFT


def test_a_pass_of_one_organization_counts_in_no_other(
    acme: Organization, globex: Organization, carol: Actor, server: SmtpServer
) -> None:
    raw = values(server)
    run(globex, raw, carol, name="second")
    saved = senders.save(Scope.of(acme), "second", raw, secret=Clear(), actor=carol)
    assert saved.version.state is VersionState.DRAFT


def draft(globex: Organization, carol: Actor, raw: dict[str, Any]) -> None:
    senders.save(Scope.of(globex), "second", raw, secret=Clear(), actor=carol)
    db.session.commit()


def state_of_second(globex: Organization) -> VersionState:
    sender = senders.find(Scope.of(globex), "second")
    assert sender
    return senders.shown_version(sender).state


def test_a_stored_draft_that_passes_as_it_is_stored_sends_from_then_on(
    globex: Organization, carol: Actor, server: SmtpServer
) -> None:
    draft(globex, carol, values(server))
    assert state_of_second(globex) is VersionState.DRAFT
    run(globex, {}, carol, name="second", secret=Keep())
    db.session.rollback()
    assert state_of_second(globex) is VersionState.ACTIVE


def test_a_pass_of_other_values_leaves_the_stored_draft_a_draft(
    globex: Organization, carol: Actor, server: SmtpServer
) -> None:
    draft(globex, carol, values(server))
    run(globex, {"from_address": "x@globex.test"}, carol, name="second", secret=Keep())
    db.session.rollback()
    assert state_of_second(globex) is VersionState.DRAFT


@pytest.mark.parametrize("to", ["", "carol", "a@x.test, b@x.test", "a@x.test\nBcc: b@x.test"])
def test_a_wrong_recipient_is_refused_before_anything_happens(
    globex: Organization, carol: Actor, server: SmtpServer, to: str
) -> None:
    with pytest.raises(Invalid) as refused:
        run(globex, values(server), carol, to=to)
    db.session.rollback()
    assert [error.field for error in refused.value.errors] == ["to"]
    assert server.connections == 0
    assert rows(TestRun) == 0


def test_wrong_values_are_refused_before_anything_happens(
    globex: Organization, carol: Actor, server: SmtpServer
) -> None:
    with pytest.raises(Invalid) as refused:
        run(globex, values(server, port="70000", from_address="nobody"), carol)
    db.session.rollback()
    assert {error.field for error in refused.value.errors} == {"port", "from_address"}
    assert rows(TestRun) == rows(Delivery) == 0


def test_a_test_changes_nothing_of_the_sender_that_sends(
    globex: Organization, carol: Actor, server: SmtpServer
) -> None:
    sender = senders.find(Scope.of(globex), "main")
    assert sender
    version = effective.version_of(sender, VersionState.ACTIVE)
    before = (sender.revision, version and version.id)
    run(globex, values(server, display_name="Another"), carol)
    db.session.rollback()
    version = effective.version_of(sender, VersionState.ACTIVE)
    assert (sender.revision, version and version.id) == before
    assert senders.find(HOST, "main") is None


@pytest.mark.parametrize("check_only", [True, False])
def test_a_passed_test_of_what_sends_lets_its_held_mail_go(
    globex: Organization, carol: Actor, server: SmtpServer, check_only: bool
) -> None:
    aim(Scope.of(globex), "main", server, from_address="new@globex.test")
    server.set_script(greeting=[reply("554 5.3.2 not you")])
    (held,) = enqueue(globex, Addressee("ann@x.test"))
    take_turns()
    sender = senders.find(Scope.of(globex), "main")
    assert sender and sender.next_probe_at is not None
    version = effective.version_of(sender, VersionState.ACTIVE)
    assert version
    raw = dataclasses.asdict(effective.values_of(version))
    db.session.rollback()

    other = run(globex, {**raw, "display_name": "Other"}, carol, check_only=check_only)
    db.session.refresh(sender)
    assert other.passed and sender.next_probe_at is not None
    assert run(globex, raw, carol, check_only=check_only).passed
    db.session.refresh(sender)
    assert (sender.next_probe_at, sender.consecutive_failures) == (None, 0)
    take_turns()
    assert db.session.get_one(Delivery, held, populate_existing=True).state is State.ACCEPTED
    server.set_script(greeting=[reply("554 5.3.2 not you")])
    (held,) = enqueue(globex, Addressee("ann@x.test"))
    take_turns()
    server.set_script(greeting=reply("554 5.3.2 not you"))
    assert not run(globex, raw, carol, check_only=check_only).passed
    db.session.refresh(sender)
    assert sender.next_probe_at is not None
