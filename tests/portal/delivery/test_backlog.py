"""What waits for a sender, and what it handed over: bounded numbers."""

from datetime import timedelta

from sqlalchemy import update

from portal.clock import utcnow
from portal.delivery import backlog
from portal.delivery.counting import MOST, Count
from portal.delivery.models import Delivery, Level, State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings import effective, senders
from portal.settings.scope import HOST, Scope
from tests.cast import Cast
from tests.delivering import enqueue

RECOVERY = {"person_name": "Carol", "recovery_url": None, "requested_from": None}


def test_each_scope_counts_what_leaves_by_its_default_sender(
    acme: Organization, globex: Organization, cast: Cast
) -> None:
    enqueue(acme, Addressee(cast.alice.email, cast.alice.id))
    enqueue(globex, *(Addressee(f"{n}@x.test") for n in range(3)))
    secret = {"recovery_url": "https://portal.test/recovery/x"}
    carol = Addressee(cast.carol.email, cast.carol.id, secrets=secret)
    enqueue(globex, carol, kind="security.password_recovery", data=RECOVERY)
    assert backlog.waiting_for(HOST) == Count(2), "its own, and security mail of everyone"
    assert backlog.waiting_for(Scope.of(globex)) == Count(3)
    assert backlog.waiting_for(Scope.of(acme)) == Count(0)
    host, own = effective.default_sender(HOST), senders.find(Scope.of(globex), "main")
    assert host is not None and own is not None
    assert backlog.waiting_on(HOST, host) == Count(2)
    assert backlog.waiting_on(Scope.of(globex), own) == Count(3)
    assert backlog.held_by(own) == backlog.Held(Count(0), None)

    db.session.execute(update(Delivery).values(state=State.SENDING))
    assert backlog.waiting_for(HOST) == Count(2), "not handed over yet"
    assert backlog.waiting_in(globex) == Count(4)
    assert backlog.waiting_on(HOST, host) == Count(0), "it goes on without the sender"

    db.session.execute(
        update(Delivery).values(state=State.ACCEPTED, level=Level.HOST, accepted_at=utcnow())
    )
    db.session.commit()
    day_ago = utcnow() - timedelta(days=1)
    assert backlog.accepted_since(HOST, day_ago) == Count(5)
    assert backlog.accepted_since(Scope.of(globex), day_ago) == Count(4)
    assert backlog.accepted_since(Scope.of(globex), utcnow()) == Count(0)


def test_counting_stops_at_a_bound(acme: Organization, cast: Cast) -> None:
    (one,) = enqueue(acme, Addressee(cast.alice.email, cast.alice.id))
    row = db.session.get_one(Delivery, one)
    columns = {c.key: getattr(row, c.key) for c in Delivery.__table__.columns if c.key != "id"}
    db.session.execute(Delivery.__table__.insert(), [columns] * (MOST + 5))
    db.session.commit()
    found = backlog.waiting_for(HOST)
    assert found == Count(MOST, is_more=True)
    assert found.up_to_more == MOST + 1
