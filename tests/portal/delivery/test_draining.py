"""When the mail that waits will be through, from what went out in the last minutes."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from portal.clock import utcnow
from portal.delivery import draining
from portal.delivery.counting import Count
from portal.delivery.health import SENDER_FAILING
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, Level, SendCount, State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from portal.records import overview
from portal.settings import effective, senders
from portal.settings.models import Sender
from portal.settings.scope import HOST, Scope
from tests.cast import Cast
from tests.delivering import enqueue


def mails(globex: Organization, number: int) -> Sequence[Delivery]:
    ids = enqueue(globex, *(Addressee(f"{n}@x.test") for n in range(number)))
    return [db.session.get_one(Delivery, one) for one in ids]


def hand_over(sender: Sender, deliveries: Sequence[Delivery], *, within: timedelta) -> None:
    """As if they went out evenly in that time until now."""
    for place, delivery in enumerate(deliveries):
        started_at = utcnow() - within * (1 - place / len(deliveries))
        delivery.state, delivery.accepted_at = State.ACCEPTED, started_at
        delivery.sender_id, delivery.level = sender.id, Level.ORGANIZATION
        attempt = Attempt(
            organization_id=delivery.organization_id,
            delivery_id=delivery.id,
            number=1,
            started_at=started_at,
            outcome=AttemptOutcome.ACCEPTED,
        )
        db.session.add(attempt)
    db.session.commit()


def test_the_end_is_told_from_the_rate_of_the_last_minutes(globex: Organization) -> None:
    sender = senders.find(Scope.of(globex), "main")
    assert sender is not None
    hand_over(sender, mails(globex, 20), within=timedelta(minutes=2))
    assert draining.of_sender(sender) == draining.Drain(Count(0)), "nothing waits"
    mails(globex, 50)
    for drain in (
        draining.of_sender(sender),
        draining.of_organization(globex, Count(50)),
        draining.at_host(Count(50)),
    ):
        assert drain.waiting == Count(50)
        assert drain.per_minute == pytest.approx(10, rel=0.2)
        assert drain.done_at is not None
        assert drain.done_at - utcnow() > timedelta(minutes=3)

    sender.consecutive_failures = 1
    assert draining.of_sender(sender) == draining.Drain(Count(50)), "it fails"
    sender.consecutive_failures = 0
    db.session.query(Attempt).update({"started_at": utcnow() - timedelta(hours=1)})
    assert draining.of_organization(globex, Count(50)).done_at is None, "too long ago"


def test_of_a_few_mails_no_rate_is_told(globex: Organization) -> None:
    sender = senders.find(Scope.of(globex), "main")
    assert sender is not None
    hand_over(sender, mails(globex, 4), within=timedelta(minutes=2))
    mails(globex, 5)
    assert draining.of_sender(sender) == draining.Drain(Count(5))


def test_a_sender_hands_over_no_more_than_its_own_limits_let_it(globex: Organization) -> None:
    sender = senders.find(Scope.of(globex), "main")
    assert sender is not None
    hand_over(sender, mails(globex, 20), within=timedelta(seconds=2))
    mails(globex, 50)
    assert (draining.of_sender(sender).per_minute or 0) > 100, "as measured"
    (version,) = sender.versions
    version.per_minute = 5
    for drain in (
        draining.of_sender(sender),
        draining.of_organization(globex, Count(50)),
        draining.at_host(Count(50)),
    ):
        assert drain.per_minute == 5 and drain.done_at is not None
        assert timedelta(minutes=9) < drain.done_at - utcnow() < timedelta(minutes=11)

    version.per_day = 60
    slot = int(utcnow().timestamp() // 7200)
    counts = {str(slot): 20}
    key, ends_at = f"sender:{sender.id}:day", utcnow() + timedelta(days=2)
    db.session.add(SendCount(key=key, counts=counts, ends_at=ends_at))
    done_at = draining.of_sender(sender).done_at
    assert done_at is not None and done_at - utcnow() > timedelta(hours=23), "40 are left today"
    version.per_day = 70
    done_at = draining.of_sender(sender).done_at
    assert done_at is not None and done_at - utcnow() < timedelta(hours=1), "all have room"
    version.per_day = 20
    done_at = draining.of_sender(sender).done_at
    assert done_at is not None and done_at - utcnow() > timedelta(days=2), "two full days first"


def test_the_mail_of_all_is_through_when_the_sender_with_the_least_room_a_day_is(
    acme: Organization, globex: Organization, cast: Cast
) -> None:
    """Acme goes by the host's sender, Globex by its own."""
    host, own = effective.default_sender(HOST), senders.find(Scope.of(globex), "main")
    assert host is not None and own is not None
    hand_over(own, mails(globex, 20), within=timedelta(seconds=10))
    mails(globex, 30)
    enqueue(acme, *(Addressee(f"{n}@acme.test", cast.alice.id) for n in range(30)))
    assert days_left() < 0.5

    (by_host,), (by_own,) = host.versions, own.versions
    by_host.per_day = 20
    assert 0.9 < days_left() < 1.2, "30 by the host's sender, 20 a day"
    by_own.per_day = 10
    assert 1.9 < days_left() < 2.2, "30 by its own, 10 a day"
    by_host.per_day = by_own.per_day = 30
    assert days_left() < 0.5, "each has room for its own"
    by_host.per_minute = 1
    assert days_left() * 24 * 60 == pytest.approx(30, abs=1), "30 by the host's, one a minute"


def test_what_is_on_its_way_waits_and_is_told_alike_by_sender_and_host(
    globex: Organization,
) -> None:
    """397 mails were with a server that answered nothing, and the sender said that none waits."""
    sender = senders.find(Scope.of(globex), "main")
    assert sender is not None
    hand_over(sender, mails(globex, 20), within=timedelta(minutes=2))
    taken, trying, again, later, held, queued = mails(globex, 6)
    taken.state = trying.state = State.SENDING
    trying.sender_id = held.sender_id = sender.id
    again.state, again.next_attempt_at = State.DEFERRED, utcnow() - timedelta(seconds=1)
    later.state, later.next_attempt_at = State.DEFERRED, utcnow() + timedelta(hours=1)
    db.session.commit()
    of_host = overview.waiting(None)
    assert (of_host.due, of_host.deferred) == (Count(5), Count(1))
    assert overview.waiting(globex) == of_host
    told = [
        draining.of_sender(sender),
        draining.of_organization(globex, of_host.due),
        draining.at_host(of_host.due),
    ]
    for drain in told:
        assert drain.waiting == Count(5)
        assert drain.per_minute == pytest.approx(10, rel=0.2)
        assert drain.done_at is not None

    held.state, held.reason = State.HELD, SENDER_FAILING
    sender.consecutive_failures = 1
    db.session.commit()
    assert draining.of_sender(sender) == draining.Drain(Count(5)), "held for it, too"
    assert overview.waiting(None).all == Count(6)
    queued.state = State.ACCEPTED
    assert draining.of_sender(sender) == draining.Drain(Count(4))
    spare = Sender(scope=sender.scope, organization_id=globex.id, name="spare")
    db.session.add(spare)
    db.session.flush()
    trying.sender_id = spare.id
    assert draining.of_sender(spare) == draining.Drain(Count(1)), "another's, for its kind of mail"
    assert draining.of_sender(sender) == draining.Drain(Count(3))


def test_how_fast_others_were_that_have_nothing_left_says_nothing_of_what_waits(
    acme: Organization, globex: Organization, cast: Cast
) -> None:
    host, own = effective.default_sender(HOST), senders.find(Scope.of(globex), "main")
    assert host is not None and own is not None
    ids = enqueue(acme, *(Addressee(f"{n}@acme.test", cast.alice.id) for n in range(40)))
    deliveries = [db.session.get_one(Delivery, one) for one in ids]
    hand_over(host, deliveries, within=timedelta(minutes=4))
    hand_over(own, mails(globex, 20), within=timedelta(minutes=1))
    mails(globex, 60)
    of_sender, of_host = draining.of_sender(own), draining.at_host(Count(60))
    assert of_sender.per_minute == pytest.approx(20, rel=0.2)
    assert of_host.per_minute == pytest.approx(of_sender.per_minute, rel=0.05)
    assert of_sender.done_at is not None and of_host.done_at is not None
    assert abs(of_host.done_at - of_sender.done_at) < timedelta(seconds=20)

    enqueue(acme, *(Addressee(f"{n}@acme.test", cast.alice.id) for n in range(5)))
    of_both = draining.at_host(Count(65))
    assert of_both.per_minute == pytest.approx(30, rel=0.2), "both have some left"
    assert of_both.done_at is not None
    assert abs(of_both.done_at - of_sender.done_at) < timedelta(seconds=20), "the slower one's end"


def days_left() -> float:
    done_at = draining.at_host(Count(60)).done_at
    assert done_at is not None
    return (done_at - utcnow()) / timedelta(days=1)
