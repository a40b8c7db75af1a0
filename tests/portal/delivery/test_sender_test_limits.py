"""How often senders may be tested, what an organization is told, where a secret may go."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from portal.audit.log import OPERATOR, Actor, ActorType
from portal.audit.models import AuditEntry
from portal.clock import utcnow
from portal.delivery import sender_tests
from portal.delivery.models import Delivery
from portal.delivery.sender_tests import TooManyTests
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings import senders
from portal.settings.models import TestRun
from portal.settings.scope import Scope
from portal.settings.senders import Keep, Replace
from portal.validation import Invalid
from tests.delivering import allow
from tests.portal.delivery.sender_testing import rows, run, values
from tests.smtp_server import SmtpServer

PASSWORD = "seven blue lamps"
CANARY = "canary-1b7e"


@pytest.mark.parametrize(
    "change",
    [
        {"server": "localhost"},
        {"port": 2525},
        {"encryption": "tls"},
        {"ca": ""},
        {"username": "somebody"},
        {"domain": "CORP"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_stored_password_is_asked_for_again_where_it_would_go_elsewhere(
    globex: Organization, carol: Actor, change: dict[str, Any]
) -> None:
    with SmtpServer(tls="starttls", auth={"globex": PASSWORD}) as server:
        allow(server)
        secret = Replace(PASSWORD)
        senders.save(Scope.of(globex), "second", values(server), secret=secret, actor=carol)
        db.session.commit()
        before = server.connections
        with pytest.raises(Invalid) as refused:
            run(globex, change, carol, name="second", secret=Keep())
        db.session.rollback()
        assert [error.field for error in refused.value.errors] == ["password"]
        assert (server.connections, server.auth_bytes) == (before, 0)
        assert rows(Delivery) == rows(TestRun) == 0

        assert run(globex, {}, carol, name="second", secret=Keep()).passed
        assert [message.authenticated_as for message in server.messages] == ["globex"]


def test_a_typed_password_is_in_no_report_record_or_audit(
    globex: Organization, carol: Actor
) -> None:
    with SmtpServer(tls="starttls", auth={"globex": CANARY}) as server:
        allow(server)
        passed = run(globex, values(server), carol, secret=Replace(CANARY))
        failed = run(globex, values(server), carol, secret=Replace(f"{CANARY}-wrong"))
    assert passed.passed
    assert not failed.passed
    everything = [json.dumps(report.as_json(), default=str) for report in (passed, failed)]
    everything += [str(vars(entry)) for entry in db.session.scalars(select(AuditEntry))]
    for record in db.session.scalars(select(Delivery)):
        everything += [str(vars(record)), *(str(vars(a)) for a in record.attempts)]
    assert not [text for text in everything if CANARY in text]


def test_three_refused_logins_bring_a_pause(globex: Organization, carol: Actor) -> None:
    with SmtpServer(tls="starttls", auth={"globex": PASSWORD}) as server:
        allow(server)
        for _ in range(3):
            run(globex, values(server), carol, secret=Replace("wrong"), check_only=True)
        with pytest.raises(TooManyTests) as refused:
            run(globex, values(server), carol, secret=Replace(PASSWORD), check_only=True)
        db.session.rollback()
        assert 0 < refused.value.retry_after <= 301
        assert len([line for line in server.commands if line.startswith("AUTH")]) == 3

        an_hour_passes()
        assert run(globex, values(server), carol, secret=Replace(PASSWORD), check_only=True).passed


def test_a_success_between_refused_logins_brings_no_pause(
    globex: Organization, carol: Actor
) -> None:
    with SmtpServer(tls="starttls", auth={"globex": PASSWORD}) as server:
        allow(server)
        for password in ("wrong", "wrong", PASSWORD, "wrong", "wrong"):
            run(globex, values(server), carol, secret=Replace(password), check_only=True)
        assert len([line for line in server.commands if line.startswith("AUTH")]) == 5


def an_hour_passes() -> None:
    db.session.execute(update(TestRun).values(at=utcnow() - timedelta(hours=1)))
    db.session.commit()


@pytest.mark.parametrize("whose", ["actor", "scope"])
def test_tests_are_limited_for_a_person_and_for_an_organization(
    globex: Organization,
    carol: Actor,
    server: SmtpServer,
    monkeypatch: pytest.MonkeyPatch,
    whose: str,
) -> None:
    limit = {"actor": "_PER_ACTOR", "scope": "_PER_SCOPE"}[whose]
    monkeypatch.setattr(sender_tests, limit, 2)
    another = Actor(ActorType.USER, "another", "192.0.2.8", "Another")
    for _ in range(2):
        run(globex, values(server), carol, check_only=True)
    before = server.connections
    with pytest.raises(TooManyTests) as refused:
        run(globex, values(server), carol, check_only=True)
    db.session.rollback()
    assert 0 < refused.value.retry_after <= 601
    assert server.connections == before
    if whose == "actor":
        run(globex, values(server), another, check_only=True)
    else:
        with pytest.raises(TooManyTests):
            run(globex, values(server), another, check_only=True)
        db.session.rollback()
    an_hour_passes()
    assert run(globex, values(server), carol, check_only=True).passed


def test_an_organization_sees_no_address_and_the_host_sees_all(
    globex: Organization, carol: Actor, server: SmtpServer
) -> None:
    coarse = run(globex, values(server), carol, check_only=True)
    full = run(None, values(server), OPERATOR, check_only=True, name="another")
    told = [step.detail for step in coarse.steps if step.step in ("dns", "connect")]
    assert told == ["", ""]
    assert any("127.0.0.1" in step.detail for step in full.steps)


def test_every_test_is_in_the_audit_with_the_domain_of_its_recipient_alone(
    globex: Organization, carol: Actor, server: SmtpServer
) -> None:
    run(globex, values(server), carol, check_only=True)
    run(globex, values(server), carol)
    entries = db.session.scalars(
        select(AuditEntry)
        .where(AuditEntry.action.in_(("sender.checked", "sender.test_mail")))
        .order_by(AuditEntry.id)
    ).all()
    assert [entry.action for entry in entries] == ["sender.checked", "sender.test_mail"]
    assert {entry.organization_id for entry in entries} == {globex.id}
    assert entries[1].changes == {"to_domain": {"after": "globex.test"}}
