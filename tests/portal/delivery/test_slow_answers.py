"""Mail beside mail that the server is slow to answer: other sessions take it, urgent mail first."""

import uuid
from collections.abc import Iterator

import pytest
from flask import current_app

from portal.delivery import claims, route
from portal.delivery.loop import Loop
from portal.delivery.models import State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings.scope import HOST, Scope
from tests.cast import Cast
from tests.delivering import Gate, aim, all_in, enqueue, outcomes, record
from tests.ledger import Ledger
from tests.portal.letters.samples import DATA
from tests.smtp_server import SmtpServer, reply, then

DECIDED, FAILING = "approval.approved", "mail.sender_failing"


@pytest.fixture
def loop(ledger: Ledger) -> Iterator[Loop]:
    loop = Loop(current_app._get_current_object())  # type: ignore[attr-defined]
    yield loop
    loop.close()


def people(number: int) -> list[Addressee]:
    return [Addressee(f"person{one}@x.test") for one in range(number)]


def take(loop: Loop) -> None:
    loop.take(claims.claim("one", limit=100))


def turn_until_accepted(loop: Loop, *ids: uuid.UUID) -> None:
    while not all_in(State.ACCEPTED, ids)():
        loop.turn(0.05)


def in_order(server: SmtpServer) -> list[str]:
    """The recipients, as their mail came."""
    return [one.recipients[0] for one in server.messages]


def test_the_first_mail_of_a_sender_may_wait_for_its_answer_while_others_go(
    globex: Organization, ledger: Ledger, server: SmtpServer, loop: Loop
) -> None:
    gate = Gate()
    server.set_script(dot=[then(gate, reply("250 at last"))])
    aim(Scope.of(globex), "main", server, connections=3)
    first, *others = ledger.note(enqueue(globex, *people(12)))
    take(loop)
    turn_until_accepted(loop, *others)
    assert record(first).state is State.SENDING
    assert 1 < server.connections <= 3
    gate.open()
    turn_until_accepted(loop, first)
    ledger.check(server)


def test_what_stands_behind_a_dot_that_is_not_answered_goes_by_another_session(
    globex: Organization,
    ledger: Ledger,
    server: SmtpServer,
    loop: Loop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate()
    at_once = reply("250 taken")
    server.set_script(dot=[at_once, then(gate, reply("250 at last"))])
    aim(Scope.of(globex), "main", server, connections=2)
    monkeypatch.setattr(route, "_LONG", 0.3)
    ids = ledger.note(enqueue(globex, *people(20)))
    take(loop)
    while (slow := [one for one in ids if record(one).state is not State.ACCEPTED])[1:]:
        loop.turn(0.05)
    gate.open()
    turn_until_accepted(loop, *slow)
    while loop.busy:
        loop.turn(0.05)
    assert [outcomes(one) for one in ids] == [["accepted"]] * 20
    ledger.check(server)


def test_urgent_mail_goes_before_what_its_organization_has_in_hand(
    globex: Organization, ledger: Ledger, server: SmtpServer, loop: Loop
) -> None:
    gate = Gate()
    server.set_script(dot=[reply("250 taken")] * 3 + [then(gate, reply("250 taken"))])
    aim(Scope.of(globex), "main", server, connections=1)
    its_id, alerts = globex.id, ledger.note(enqueue(globex, *people(40)))
    take(loop)
    while not gate.reached:
        loop.turn(0.05)
    boss = Addressee("boss@x.test")
    organization = db.session.get_one(Organization, its_id)
    (urgent,) = ledger.note(enqueue(organization, boss, kind=DECIDED, data=DATA[DECIDED]))
    take(loop)
    loop.turn(0.05)
    gate.open()
    turn_until_accepted(loop, urgent, *alerts)
    assert in_order(server).index("boss@x.test") <= 6
    ledger.check(server)


def test_urgent_mail_takes_nobody_elses_turn(
    acme: Organization, cast: Cast, server: SmtpServer, loop: Loop
) -> None:
    """Both go by the host's sender: approvals of Acme do not go before what the host has to say."""
    aim(HOST, "platform", server, connections=1)
    alice = Addressee(cast.alice.email, cast.alice.id)
    its_id = acme.id
    enqueue(None, *people(10), kind=FAILING, data=DATA[FAILING])
    take(loop)
    for _ in range(3):
        organization = db.session.get_one(Organization, its_id)
        enqueue(organization, *[alice] * 10, kind=DECIDED, data=DATA[DECIDED])
        take(loop)
        loop.turn(0.05)
    while loop.busy:
        loop.turn(0.05)
    assert len(server.messages) == 40
    assert in_order(server)[:20].count(alice.address) < 15


def test_a_worker_that_stops_keeps_nothing_but_what_waits_for_its_answer(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    gate = Gate()
    server.set_script(dot=[reply("250 taken"), then(gate, reply("250 at last"))])
    aim(Scope.of(globex), "main", server, connections=1)
    ids = ledger.note(enqueue(globex, *people(9)))
    loop = Loop(current_app._get_current_object())  # type: ignore[attr-defined]
    take(loop)
    while not gate.reached:
        loop.turn(0.05)
    loop.stop(within=0.3)
    gate.open()
    states = [record(one).state for one in ids]
    assert states.count(State.SENDING) == 1
    assert states.count(State.QUEUED) == 7
