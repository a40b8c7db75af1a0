"""Numbers of the overviews and of the delivery engine, each from a bounded read."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session, scoped_session

from portal.audit.log import OPERATOR
from portal.clock import utcnow
from portal.delivery import counting
from portal.delivery.health import SENDER_FAILING
from portal.delivery.models import Attempt, Delivery, State, Worker
from portal.delivery.restoring import RESTORED
from portal.extensions import db
from portal.identity import organizations
from portal.kinds import Priority
from portal.records import overview, queue
from portal.settings import changes
from portal.settings.effective import default_sender
from portal.settings.scope import HOST, Scope
from tests.cast import Cast
from tests.portal.records.records import organization_of, told

Open = scoped_session[Session]


def settled(delivery: Delivery, state: State, *, took: float | None = None) -> Delivery:
    delivery.state = state
    if took is not None:
        delivery.accepted_at = delivery.created_at + timedelta(seconds=took)
    db.session.commit()
    return delivery


@contextmanager
def statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield seen
    event.remove(db.engine, "before_cursor_execute", note)


def test_the_last_24_hours_are_told_by_hour_and_state(session: Open, cast: Cast) -> None:
    settled(told(cast.acme, "One")[0], State.ACCEPTED)
    settled(told(cast.acme, "Two")[0], State.FAILED)
    settled(told(cast.globex, "Three")[0], State.ACCEPTED)
    yesterday = told(cast.acme, "Old")[0]
    yesterday.id = counting.first_id_of(utcnow() - timedelta(days=2))
    session.commit()
    acme, host = overview.day(organization_of(cast.acme)), overview.day(None)
    assert len(acme.hours) == len(host.hours) == overview.HOURS
    assert (acme.accepted.number, acme.failed.number, acme.total) == (1, 1, 2)
    assert (host.accepted.number, host.total, host.is_cut) == (2, 3, False)
    assert [hour.began for hour in host.hours] == sorted(hour.began for hour in host.hours)


def test_what_waits_is_told_with_the_oldest(session: Open, cast: Cast) -> None:
    assert overview.waiting(None).oldest is None
    oldest = told(cast.acme, "Old", created_at=utcnow() - timedelta(hours=5))[0]
    settled(oldest, State.HELD)
    settled(told(cast.acme, "Due")[0], State.QUEUED)
    settled(told(cast.globex, "Later")[0], State.DEFERRED)
    acme, host = overview.waiting(organization_of(cast.acme)), overview.waiting(None)
    assert (acme.held.number, acme.due.number, acme.deferred.number) == (1, 1, 0)
    assert (acme.all.number, acme.oldest) == (2, oldest.created_at)
    assert host.all.number == 3


def test_how_long_the_newest_took(session: Open, cast: Cast) -> None:
    assert overview.speed(None) is None
    for seconds in (1, 2, 3, 60):
        settled(told(cast.acme, "Mail")[0], State.ACCEPTED, took=seconds)
    speed = overview.speed(organization_of(cast.acme))
    assert speed is not None
    assert (speed.share, speed.number) == (0.75, 4)
    assert (speed.median.seconds, speed.slowest_twentieth.seconds) == (3, 60)
    assert overview.speed(organization_of(cast.globex)) is None


def test_mail_that_waits_in_a_flood_hides_nothing_that_was_tried(
    session: Open, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (counting, overview):
        monkeypatch.setattr(module, "MOST", 3)
    accepted = settled(told(cast.acme, "One")[0], State.ACCEPTED, took=1)
    failed = settled(told(cast.acme, "Two")[0], State.FAILED)
    for tried in (accepted, failed):
        session.add(
            Attempt(
                organization_id=tried.organization_id,
                delivery_id=tried.id,
                number=1,
                started_at=utcnow(),
            )
        )
    session.commit()
    for _ in range(3):
        told(cast.acme, "Waits")
    told(cast.globex, "Waits")
    for organization in (organization_of(cast.acme), None):
        day = overview.day(organization)
        assert (day.accepted, day.failed) == (counting.Count(1, True), counting.Count(1, True))
        assert overview.failures(organization) == [failed]
        speed = overview.speed(organization)
        assert speed is not None and speed.number == 1


def test_recent_failures_belong_to_their_organization(session: Open, cast: Cast) -> None:
    mine = settled(told(cast.acme, "One")[0], State.FAILED)
    theirs = settled(told(cast.globex, "Two")[0], State.UNKNOWN)
    settled(told(cast.acme, "Three")[0], State.ACCEPTED)
    assert overview.failures(organization_of(cast.acme)) == [mine]
    assert overview.failures(None) == [theirs, mine]


def test_organizations_are_counted_by_how_their_mail_leaves(session: Open, cast: Cast) -> None:
    quiet = organizations.create(name="Quiet", short_name="quiet", actor=OPERATOR)
    changes.save_mail_settings(Scope.of(quiet), {"mode": "off"}, actor=OPERATOR)
    gone = organizations.create(name="Gone", short_name="gone", actor=OPERATOR)
    session.commit()
    organizations.delete(gone, actor=OPERATOR)
    session.commit()
    found = overview.organizations()
    assert (found.inherit, found.own, found.off, found.all) == (1, 1, 1, 3)


def test_failing_senders_are_counted_and_named(session: Open, cast: Cast) -> None:
    sender = default_sender(Scope.of(organization_of(cast.globex)))
    assert sender is not None
    sender.consecutive_failures, sender.last_failure_at = 3, utcnow()
    held = settled(told(cast.globex, "Waits")[0], State.HELD)
    held.sender_id, held.reason = sender.id, SENDER_FAILING
    restored = settled(told(cast.globex, "Was in a backup")[0], State.HELD)
    restored.sender_id, restored.reason = sender.id, RESTORED
    session.commit()
    assert overview.senders() == overview.Senders(all=2, failing=1, failing_of_host=0)
    (paused,) = queue.paused_senders()
    assert paused.organization is not None
    assert (paused.sender.id, paused.organization.slug, paused.held.number) == (
        sender.id,
        "globex",
        1,
    )
    host = default_sender(HOST)
    assert host is not None
    host.consecutive_failures, host.last_failure_at = 1, utcnow()
    session.commit()
    assert [one.organization is None for one in queue.paused_senders()] == [True, False]


def test_the_queue_is_told_by_priority(session: Open, cast: Cast) -> None:
    now = utcnow()
    due, later, held = (told(cast.acme, title)[0] for title in ("Due", "Later", "Held"))
    due.next_attempt_at = now - timedelta(seconds=30)
    later.state, later.next_attempt_at = State.DEFERRED, now + timedelta(hours=1)
    held.state, held.next_attempt_at = State.HELD, None
    held.priority = int(Priority.SECURITY)
    session.commit()
    lanes = {lane.priority: lane for lane in queue.lanes()}
    assert list(lanes) == list(Priority)
    alert = lanes[Priority.ALERT]
    assert (alert.due.number, alert.later.number, alert.held.number) == (1, 1, 0)
    assert alert.oldest_due == due.next_attempt_at
    assert lanes[Priority.SECURITY].held.number == 1
    assert lanes[Priority.BULK].oldest_due is None


def test_a_worker_is_alive_while_it_says_so(session: Open, cast: Cast) -> None:
    now = utcnow()
    session.add_all(
        [
            Worker(id="works", heartbeat_at=now),
            Worker(id="silent", heartbeat_at=now - timedelta(minutes=5)),
            Worker(id="stopped", heartbeat_at=now, stopped_at=now),
            Worker(id="long-gone", heartbeat_at=now - timedelta(days=1)),
        ]
    )
    session.commit()
    assert [(row.worker.id, row.is_alive) for row in queue.workers()] == [
        ("works", True),
        ("silent", False),
        ("stopped", False),
    ]


def test_counting_stops_and_says_so() -> None:
    assert counting.of(3) == counting.Count(3)
    assert counting.of(counting.MOST + 1) == counting.Count(counting.MOST, is_more=True)
    assert counting.Count(1) + counting.Count(2, is_more=True) == counting.Count(3, is_more=True)
    assert not counting.Count(0)


def test_no_read_of_the_overviews_is_without_a_bound(session: Open, cast: Cast) -> None:
    told(cast.acme, "Mail")
    acme = organization_of(cast.acme)
    with statements() as seen:
        for organization in (acme, None):
            overview.day(organization)
            overview.waiting(organization)
            overview.speed(organization)
            overview.failures(organization)
        queue.lanes()
    of_mail = [text for text in seen if "FROM deliveries" in text]
    assert of_mail
    assert [text for text in of_mail if "LIMIT" not in text.upper()] == []


def test_an_id_made_at_a_moment_is_not_before_the_first_of_it() -> None:
    before = counting.first_id_of(utcnow())
    assert before < uuid.UUID(int=before.int + (1 << 80))
    assert counting.first_id_of(utcnow() - timedelta(hours=1)) < before
