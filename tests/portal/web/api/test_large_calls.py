"""Calls with many recipients, and calls with many mistakes: what others notice of them."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.delivery.models import Delivery
from portal.extensions import db
from portal.notifications import recipients
from portal.notifications.models import Alert, LeftOut
from portal.web.api import turns
from tests.cast import Cast
from tests.databases import Database
from tests.portal.web.api.calling import ALERT, System, done, refused

SQLITE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


def strangers(number: int) -> list[str]:
    return [f"person{one}@outside.test" for one in range(number)]


@contextmanager
def somebody_writes(database: Database) -> Iterator[None]:
    """SQLite's one write lock is taken until the block ends."""
    other = sqlite3.connect(database.url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_what_a_call_answers_of_its_mail_is_what_is_stored(
    acme: System, globex: System, cast: Cast
) -> None:
    named = [cast.bob.email, "role:administrator", "eve@outside.test"]
    said = ALERT | {"recipients": named, "resource": {"name": "db-1"}}
    asked = {"title": "Deploy 2.4?", "approvers": ["role:administrator"]}
    for system, path, body in (
        (acme, "/alerts", said),
        (globex, "/alerts", said),
        (acme, "/approvals", asked),
    ):
        answered = done(system.post(path, body), 202)["deliveries"]
        assert answered
        for delivery in answered:
            stored = done(system.get(f"/deliveries/{delivery['id']}"))
            assert delivery == {name: stored[name] for name in delivery}


def test_a_large_call_is_stored_whole_and_answers_with_every_delivery(
    app: Flask, globex: System
) -> None:
    """More than are read of a list at once, and more than count as a small call."""
    named = strangers(turns.LARGE + 1)
    raised = done(globex.post("/alerts", ALERT | {"recipients": named}, key="one"), 202)
    assert [delivery["recipient"] for delivery in raised["deliveries"]] == named
    assert done(globex.post("/alerts", ALERT | {"recipients": named}, key="one"), 202) == raised
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Delivery)) == len(named)


def test_everyone_who_was_left_out_of_a_large_call_is_written_down(
    app: Flask, acme: System
) -> None:
    named = [f"user:{address}" for address in strangers(300)]
    raised = done(acme.post("/alerts", ALERT | {"recipients": named}), 202)
    assert [left["entry"] for left in raised["left_out"]] == named
    with app.app_context():
        entries = db.session.scalars(select(LeftOut.entry).order_by(LeftOut.id))
        assert list(entries) == named


def test_more_recipients_than_a_call_takes_are_refused_with_the_cure(
    app: Flask, acme: System
) -> None:
    many = strangers(recipients.MOST + 1)
    asked = {"title": "Deploy?", "approvers": many}
    for path, name, body in (
        ("/alerts", "/recipients", ALERT | {"recipients": many}),
        ("/approvals", "/approvers", asked),
    ):
        message = refused(acme.post(path, body))[name]
        assert message.startswith("Name at most 10,000; these are 10,001. Split them")
    with app.app_context():
        assert db.session.scalar(select(Alert.id)) is None


def test_an_answer_names_no_more_mistakes_than_somebody_reads(acme: System) -> None:
    for path, body in (
        ("/alerts", ALERT | {"recipients": [1] * 500}),
        ("/alerts", ALERT | {"recipients": ["\0"] * 500}),
        ("/alerts", ALERT | {f"recipient{one}": 1 for one in range(500)}),
        ("/approvals", {"title": "Deploy?", "approvers": strangers(500)}),
    ):
        answer = acme.post(path, body)
        refused(answer)
        assert len(answer.get_json()["errors"]) == 100


@SQLITE
def test_what_is_refused_or_answered_already_waits_for_nobody_who_writes(
    acme: System, database: Database
) -> None:
    """Nor does anybody wait for it: it is looked at before the one write lock is taken."""
    first = done(acme.post("/alerts", ALERT, key="one"), 202)
    with somebody_writes(database):
        refused(acme.post("/alerts", ALERT | {"recipients": [1]}, key="two"))
        refused(acme.post("/alerts", ALERT | {"title": ""}, key="three"))
        refused(acme.post("/alerts", ALERT | {"title": "Other"}, key="one"))
        assert done(acme.post("/alerts", ALERT, key="one"), 202) == first


@SQLITE
def test_of_an_organizations_large_calls_only_some_wait_and_the_small_ones_go_on(
    acme: System, globex: System, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LARGE", 1)
    monkeypatch.setattr(turns, "MOST_AT_ONCE", 1)
    # The first use of a token is written down.
    done(acme.get("/alerts"))
    large = ALERT | {"recipients": strangers(2)}
    statuses: list[int] = []
    waiting = threading.Thread(
        target=lambda: statuses.append(acme.post("/alerts", large).status_code)
    )
    with somebody_writes(database):
        waiting.start()
        pause = threading.Event()
        for _ in range(300):
            if not turns._underway:
                pause.wait(0.01)
        answer = acme.post("/alerts", large)
        refused(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
        assert "one after the other" in answer.get_json()["detail"]
    waiting.join()
    assert statuses == [202]
    done(acme.post("/alerts", large), 202)
    done(globex.post("/alerts", ALERT), 202)
