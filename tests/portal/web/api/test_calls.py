"""What holds for every call: who may, what a body must be, and how errors look."""

import io
import sqlite3
from datetime import timedelta

import pytest
from flask import Flask
from limits import parse

from portal.clock import utcnow
from portal.extensions import db
from portal.identity import tokens
from portal.identity.models import ApiToken
from portal.web.api import limits
from tests.cast import Cast
from tests.databases import Database
from tests.portal.web.api.calling import ALERT, System, done, refused
from tests.portal.web.api.conftest import MakeSystem


@pytest.mark.parametrize("secret", [None, "", "gp_wrong", "Bearer", "gp wrong", "\xff"])
def test_without_a_token_in_force_nothing_answers(
    app: Flask, cast: Cast, secret: str | None
) -> None:
    answer = System(app, secret).post("/alerts", data=b"{not read", content_type="text/plain")
    refused(answer, 401)
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith("Bearer")
    assert ("invalid_token" in challenge) == (secret is not None)


@pytest.mark.parametrize("change", ["revoked_at", "expires_at"])
def test_a_token_that_ended_opens_nothing(app: Flask, acme: System, change: str) -> None:
    with app.app_context():
        setattr(db.session.get_one(ApiToken, acme.token_id), change, utcnow())
        db.session.commit()
    refused(acme.get("/alerts"), 401)


def test_a_missing_scope_is_refused_before_the_body_is_looked_at(
    system: MakeSystem, cast: Cast
) -> None:
    reader, sender = system(cast.acme, "read"), system(cast.acme, "send")
    answer = reader.post("/alerts", data=b"{broken", content_type="text/plain")
    refused(answer, 403)
    assert "read" in answer.get_json()["detail"]
    refused(sender.get("/deliveries"), 403)
    refused(sender.patch("/settings/mail", {}), 403)
    refused(reader.patch("/settings/mail", {}), 403)


def test_a_host_token_names_the_organization(host: System) -> None:
    answer = host.post("/alerts", ALERT)
    refused(answer, 403)
    assert "/organizations/{slug}" in answer.get_json()["detail"]
    done(host.post("/organizations/acme/alerts", ALERT), 202)


def test_an_organizations_token_works_under_its_own_path_only(acme: System) -> None:
    done(acme.get("/organizations/acme/alerts"))
    for path in ("alerts", "senders", "settings/mail", "deliveries"):
        other = acme.get(f"/organizations/globex/{path}")
        assert other.data == acme.get(f"/organizations/nowhere/{path}").data
        refused(other, 404)


def test_host_calls_say_nothing_of_which_organizations_exist(acme: System) -> None:
    answers = [acme.get(f"/organizations/{slug}") for slug in ("acme", "globex", "nowhere")]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.data for answer in answers}) == 1


def test_what_is_not_there_and_a_wrong_method(acme: System) -> None:
    refused(acme.get("/nothing"), 404)
    refused(acme.post("/tasks", {}), 404)
    answer = acme.call("DELETE", "/alerts")
    refused(answer, 405)
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "object"),
        (b'"x"', "object"),
        (b"null", "object"),
        (b'{"title": NaN}', "NaN"),
        (b'{"title": -Infinity}', "Infinity"),
        (b"\xff\xfe{}", "UTF-8"),
        (b'{"a":' * 60 + b"1" + b"}" * 60, "nested"),
        (b"[" * 100_000, "nested"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "not JSON"),
        (b"{'title': 1}", "not JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(acme: System, raw: bytes, says: str) -> None:
    answer = acme.post("/alerts", data=raw, content_type="application/json")
    refused(answer, 400)
    assert says in answer.get_json()["detail"]


def test_the_last_of_two_equal_keys_counts(acme: System) -> None:
    raw = b'{"title": "One", "severity": "info", "title": "Two"}'
    raised = done(acme.post("/alerts", data=raw, content_type="application/json"), 202)
    assert done(acme.get(f"/alerts/{raised['id']}"))["title"] == "Two"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "", "multipart/form-data"]
)
def test_another_content_type_is_refused(acme: System, content_type: str) -> None:
    refused(acme.post("/alerts", data=b'{"title": "x"}', content_type=content_type), 415)


def test_json_by_another_name_is_taken(acme: System) -> None:
    raw = b'{"title": "x", "severity": "info"}'
    for content_type in ("application/json; charset=utf-8", "application/vnd.acme+json"):
        done(acme.post("/alerts", data=raw, content_type=content_type), 202)


def test_a_body_beyond_one_mebibyte_is_refused(acme: System) -> None:
    big = ALERT | {"text": "x" * 2 * 1024 * 1024}
    refused(acme.post("/alerts", big), 413)
    done(acme.post("/alerts", ALERT | {"labels": {"a": "b"}}), 202)


def test_the_rate_limit_leaves_every_token_600_calls(
    acme: System, system: MakeSystem, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits.RATE.amount >= 600
    assert limits.RATE.get_expiry() == 60
    monkeypatch.setattr(limits, "RATE", parse("2/minute"))
    for _ in range(2):
        done(acme.get("/alerts"))
    answer = acme.get("/alerts")
    refused(answer, 429)
    assert int(answer.headers["Retry-After"]) > 0
    done(system(cast.acme, "read").get("/alerts"))


def test_the_use_of_a_token_is_noted_to_the_minute(app: Flask, acme: System) -> None:
    def used() -> object:
        with app.app_context():
            return db.session.get_one(ApiToken, acme.token_id).last_used_at

    assert used() is None
    done(acme.get("/alerts"))
    first = used()
    refused(acme.post("/alerts", {}))
    assert used() == first is not None
    with app.app_context():
        row = db.session.get_one(ApiToken, acme.token_id)
        row.last_used_at = utcnow() - timedelta(minutes=2)
        assert tokens.note_use(row)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_locked_database_is_answered_with_503_and_reading_goes_on(
    app: Flask, acme: System, database: Database
) -> None:
    done(acme.get("/alerts"))
    other = sqlite3.connect(database.url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        answer = acme.post("/alerts", ALERT)
        refused(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
        done(acme.get("/alerts"))
    finally:
        other.execute("ROLLBACK")
        other.close()
    done(acme.post("/alerts", ALERT), 202)


def test_a_large_body_without_a_length_is_refused_and_taken_to_its_end(acme: System) -> None:
    """A caller that is still sending would not read the answer."""
    sent = io.BytesIO(b'{"title": "' + b"x" * 2 * 1024 * 1024 + b'"}')
    answer = acme.post(
        "/alerts",
        input_stream=sent,
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True},
    )
    refused(answer, 413)
    assert sent.read() == b""
