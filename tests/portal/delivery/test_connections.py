"""How many sessions a worker opens: as many as the sender allows, shared with the other workers."""

import threading

import pytest
from flask import Flask, current_app

from portal.delivery import claims, worker
from portal.delivery.loop import Loop
from portal.delivery.models import State
from portal.delivery.outbox import Addressee
from portal.identity.models import Organization
from portal.settings.scope import Scope
from tests.delivering import aim, all_in, allow, enqueue, record, until, worker_thread
from tests.smtp_server import SmtpServer, hang, reply, then
from tests.smtp_talk import Talk

INVITATION = {
    "person_name": "Eve",
    "organization_name": "Globex",
    "role": "member",
    "invited_by": "Carol",
}


class Crowd:
    """A behaviour of the SMTP server: counts who is at this point at the same time."""

    def __init__(self) -> None:
        self.most = self._here = 0
        self._lock = threading.Lock()

    def __call__(self, talk: Talk) -> None:
        with self._lock:
            self._here += 1
            self.most = max(self.most, self._here)
        talk.pause(0.15)
        with self._lock:
            self._here -= 1


@pytest.mark.parametrize(("workers", "sessions"), [(1, 3), (2, 1), (7, 1)])
def test_the_workers_share_the_connections_of_a_sender(
    globex: Organization, server: SmtpServer, workers: int, sessions: int
) -> None:
    crowd = Crowd()
    server.set_script(dot=[then(crowd, reply("250 taken"))] * 24)
    aim(Scope.of(globex), "main", server, connections=3)
    ids = enqueue(globex, *(Addressee(f"person{number}@x.test") for number in range(24)))
    loop = Loop(current_app._get_current_object())  # type: ignore[attr-defined]
    loop.share_with(workers)
    loop.take(claims.claim("one", limit=24))
    while loop.busy:
        loop.turn(0.2)
    loop.close()
    assert all_in(State.ACCEPTED, ids)()
    assert server.connections == crowd.most == sessions


def test_a_worker_that_gets_company_closes_what_is_one_too_many(
    globex: Organization, server: SmtpServer
) -> None:
    crowd, later = Crowd(), Crowd()
    slowly = [then(crowd, reply("250 taken"))] * 12 + [then(later, reply("250 taken"))] * 12
    server.set_script(dot=slowly)
    aim(Scope.of(globex), "main", server, connections=4)
    ids = enqueue(globex, *(Addressee(f"person{number}@x.test") for number in range(24)))
    loop = Loop(current_app._get_current_object())  # type: ignore[attr-defined]
    loop.take(claims.claim("one", limit=24))
    while len(server.messages) < 10:
        loop.turn(0.2)
    loop.share_with(4)
    while loop.busy:
        loop.turn(0.2)
    loop.close()
    assert all_in(State.ACCEPTED, ids)()
    assert 1 < server.connections == crowd.most <= 4


@pytest.mark.parametrize(("expects_company_for", "sessions"), [(60.0, 2), (0.0, 4)])
def test_a_worker_that_has_just_started_leaves_connections_for_another(
    app: Flask,
    globex: Organization,
    server: SmtpServer,
    monkeypatch: pytest.MonkeyPatch,
    expects_company_for: float,
    sessions: int,
) -> None:
    server.set_script(dot=[then(Crowd(), reply("250 taken"))] * 24)
    aim(Scope.of(globex), "main", server, connections=4)
    ids = enqueue(globex, *(Addressee(f"person{number}@x.test") for number in range(24)))
    monkeypatch.setattr(worker, "_EXPECTS_COMPANY", expects_company_for)
    with worker_thread(app):
        until(all_in(State.ACCEPTED, ids))
    assert server.connections == sessions


def test_security_mail_waits_for_no_server_of_the_organization(
    globex: Organization, server: SmtpServer
) -> None:
    with SmtpServer(script={"greeting": hang()}) as silent:
        aim(Scope.of(globex), "main", silent)
        allow(silent)
        (alert,) = enqueue(globex, Addressee("ann@x.test"))
        eve = Addressee("eve@x.test", secrets={"invitation_url": "https://x.test/i"})
        (invitation,) = enqueue(globex, eve, kind="security.invitation", data=INVITATION)
        loop = Loop(current_app._get_current_object())  # type: ignore[attr-defined]
        loop.take(claims.claim("one", limit=9, but={(globex.id, True): 0}))
        while not silent.connections:
            loop.turn(0.05)
        loop.take(claims.claim("one", limit=9))
        while record(invitation).state is State.SENDING:
            loop.turn(0.05)
        assert record(invitation).state is State.ACCEPTED
        assert record(alert).state is State.SENDING
        loop.close()
