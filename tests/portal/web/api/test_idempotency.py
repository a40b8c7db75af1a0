"""The same key gets the first answer; twins do the work once."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from portal.clock import utcnow
from portal.delivery.models import Delivery
from portal.extensions import db
from portal.notifications.models import Alert, IdempotentAnswer
from portal.web.api import idempotency
from tests.cast import Cast
from tests.portal.web.api.calling import ALERT, System, done, refused
from tests.portal.web.api.conftest import MakeSystem


def count(app: Flask, model: type) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


@pytest.mark.fault(54)
def test_the_same_key_and_body_get_the_first_answer(app: Flask, acme: System) -> None:
    first = acme.post("/alerts", ALERT, key="one")
    second = acme.post("/alerts", dict(reversed(ALERT.items())), key="one")
    assert (second.status_code, second.data) == (202, first.data)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert count(app, Alert) == count(app, Delivery) == 1


def test_another_key_does_the_work_again(app: Flask, acme: System) -> None:
    for key in ("one", "two", None, None):
        done(acme.post("/alerts", ALERT, key=key), 202)
    assert count(app, Alert) == 4


def test_the_same_key_for_another_call_is_refused(acme: System) -> None:
    alert_id = done(acme.post("/alerts", ALERT, key="one"), 202)["id"]
    refused(acme.post("/alerts", ALERT | {"title": "Other"}, key="one"))
    refused(acme.post("/approvals", ALERT, key="one"))
    refused(acme.post(f"/alerts/{alert_id}/resolve", key="one"))


def test_keys_belong_to_one_organization(acme: System, globex: System) -> None:
    first = done(acme.post("/alerts", ALERT, key="one"), 202)
    assert done(globex.post("/alerts", ALERT, key="one"), 202)["id"] != first["id"]


def test_an_organization_cannot_fetch_what_a_host_token_was_told(
    acme: System, host: System
) -> None:
    done(host.post("/organizations/acme/alerts", ALERT, key="one"), 202)
    refused(acme.post("/alerts", ALERT, key="one"))


def test_a_refusal_is_not_kept(app: Flask, acme: System) -> None:
    wrong = ALERT | {"severity": "fatal"}
    for _ in range(2):
        refused(acme.post("/alerts", wrong, key="one"))
    assert count(app, IdempotentAnswer) == 0
    done(acme.post("/alerts", ALERT, key="one"), 202)


def test_answers_are_kept_sealed(app: Flask, acme: System) -> None:
    alert_id = done(acme.post("/alerts", ALERT, key="one"), 202)["id"]
    with app.app_context():
        row = db.session.scalars(select(IdempotentAnswer)).one()
        assert alert_id not in str(vars(row))
        assert row.answer.startswith("v1.")


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel", "a\tb"])
def test_a_key_that_cannot_be_kept_is_refused(acme: System, key: str) -> None:
    refused(acme.post("/alerts", ALERT, key=key), 400)


@pytest.mark.fault(54)
def test_twenty_twins_make_one_alert(app: Flask, acme: System) -> None:
    together = threading.Barrier(20)

    def post(_: int) -> tuple[int, bytes]:
        together.wait()
        answer = acme.post("/alerts", ALERT, key="one")
        return answer.status_code, answer.data

    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(post, range(20)))
    ((status, _),) = answers
    assert status == 202
    assert count(app, Alert) == count(app, Delivery) == 1


def test_a_twin_of_a_call_that_still_runs_is_told_so(
    app: Flask, acme: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "PATIENCE", 0.3)
    reserve(app, acme, "one", timedelta())
    refused(acme.post("/alerts", ALERT, key="one"), 409)
    assert count(app, Alert) == 0


def test_a_reservation_of_a_process_that_died_is_taken_over(app: Flask, acme: System) -> None:
    reserve(app, acme, "one", timedelta(hours=1))
    done(acme.post("/alerts", ALERT, key="one"), 202)


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
def test_a_twin_waits_for_an_open_transaction_no_longer_than_its_patience(
    app: Flask, acme: System, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "PATIENCE", 0.3)
    with app.app_context(), db.engine.connect() as other:
        other.execute(
            text(
                "INSERT INTO idempotent_answers (id, scope, key, digest, created_at)"
                " VALUES (:id, :scope, 'one', 'x', now())"
            ),
            {"id": uuid.uuid4(), "scope": str(cast.acme.id)},
        )
        refused(acme.post("/alerts", ALERT, key="one"), 409)
        other.rollback()
    done(acme.post("/alerts", ALERT, key="one"), 202)


def test_a_repeated_call_needs_its_permission_again(
    system: MakeSystem, acme: System, cast: Cast
) -> None:
    done(acme.post("/alerts", ALERT, key="one"), 202)
    refused(system(cast.acme, "read").post("/alerts", ALERT, key="one"), 403)


def reserve(app: Flask, system: System, key: str, age: timedelta) -> None:
    """What a call leaves that has begun and not ended: its own digest, no answer."""
    done(system.post("/alerts", ALERT, key=key), 202)
    with app.app_context():
        row = db.session.scalars(select(IdempotentAnswer)).one()
        row.status = row.answer = None
        row.created_at = utcnow() - age
        for table in ("deliveries", "payloads", "alerts"):
            db.session.execute(text(f"DELETE FROM {table}"))
        db.session.commit()
