"""Statements that are compiled once: what they write, count and find, on both engines."""

import uuid
from datetime import timedelta
from typing import cast

import pytest
from flask import Flask
from sqlalchemy import Table, bindparam, delete, select, update

from portal.clock import new_id, utcnow
from portal.delivery.models import SendCount, Worker
from portal.extensions import db
from portal.identity.models import Organization, OrganizationState
from portal.prepared import Prepared, PreparedInsert, PreparedSelect

WORKERS, COUNTS = cast(Table, Worker.__table__), cast(Table, SendCount.__table__)
ORGANIZATIONS = cast(Table, Organization.__table__)
HIRE = PreparedInsert(WORKERS, ("id", "doing"), shared=("started_at", "heartbeat_at"), fixed={})
BEAT = Prepared(
    lambda own: (
        update(WORKERS)
        .where(WORKERS.c.id == own["its_id"], WORKERS.c.heartbeat_at < bindparam("now"))
        .values(heartbeat_at=bindparam("now"), doing=own["what"])
    ),
    {"its_id": WORKERS.c.id, "what": WORKERS.c.doing},
)
DISMISS = Prepared(
    lambda own: delete(WORKERS).where(WORKERS.c.id == own["its_id"]), {"its_id": WORKERS.c.id}
)
AMONG = PreparedSelect(
    lambda among: (
        select(ORGANIZATIONS.c.id, ORGANIZATIONS.c.state, ORGANIZATIONS.c.created_at)
        .where(among(ORGANIZATIONS.c.id, "ids"), ORGANIZATIONS.c.created_at < bindparam("before"))
        .order_by(ORGANIZATIONS.c.id)
    )
)
NAMED = PreparedSelect(
    lambda among: select(WORKERS.c.id).where(among(WORKERS.c.id, "names")).order_by(WORKERS.c.id)
)
COUNT = PreparedInsert(COUNTS, ("key", "counts"), shared=("ends_at",), fixed={"last_turn": 1.5})


@pytest.fixture(autouse=True)
def context(app: Flask) -> object:
    with app.app_context():
        yield


def test_rows_are_written_with_what_they_share_and_with_what_never_differs() -> None:
    now = utcnow()
    HIRE.run([("a", None), ("b", 'It\'s "quoted", 中文 and %s')], started_at=now, heartbeat_at=now)
    COUNT.run([("k", {"7": 2})], ends_at=now)
    db.session.commit()
    found = {row.id: row for row in db.session.scalars(select(Worker))}
    assert {its_id: row.doing for its_id, row in found.items()} == {
        "a": None,
        "b": 'It\'s "quoted", 中文 and %s',
    }
    assert found["a"].started_at == found["b"].heartbeat_at == now
    count = db.session.get_one(SendCount, "k")
    assert (count.counts, count.last_turn, count.ends_at) == ({"7": 2}, 1.5, now)


def test_the_rows_that_were_changed_are_counted() -> None:
    early, now = utcnow() - timedelta(hours=1), utcnow()
    HIRE.run([(name, None) for name in "abc"], started_at=early, heartbeat_at=early)
    assert BEAT.run([("a", "one"), ("b", None), ("nobody", "x")], now=now) == 2
    assert BEAT.run([("a", "again"), ("c", "two")], now=now) == 1
    assert BEAT.run([], now=now) == 0
    assert DISMISS.run([("b",), ("b",), ("nobody",)]) == 1
    db.session.commit()
    left = db.session.scalars(select(Worker).order_by(Worker.id))
    assert [(row.id, row.doing, row.heartbeat_at) for row in left] == [
        ("a", "one", now),
        ("c", "two", now),
    ]


def test_rows_are_found_among_values_of_their_own_type() -> None:
    before = utcnow() + timedelta(minutes=1)
    ids = sorted(new_id() for _ in range(3))
    for number, its_id in enumerate(ids):
        db.session.add(Organization(id=its_id, slug=f"o{number}", name=f"O {number}"))
    db.session.commit()
    found = AMONG.rows(ids=[ids[2], uuid.uuid4(), ids[0]], before=before)
    assert [(its_id, state) for its_id, state, _ in found] == [
        (ids[0], OrganizationState.ACTIVE),
        (ids[2], OrganizationState.ACTIVE),
    ]
    assert found[0][2] == db.session.get_one(Organization, ids[0]).created_at
    assert AMONG.rows(ids=[], before=before) == []
    assert AMONG.rows(ids=ids, before=before - timedelta(days=1)) == []


def test_many_values_and_odd_ones_are_looked_for_at_once() -> None:
    now, odd = utcnow(), ["it's", 'say "x"', "a,b", "{brace}", "back\\slash", "中文", "100%s"]
    HIRE.run([(name, None) for name in odd], started_at=now, heartbeat_at=now)
    names = [*odd, *(f"worker {number}" for number in range(70_000))]
    assert {name for (name,) in NAMED.rows(names=names)} == set(odd)
