"""Approvals over the API: requested, read, withdrawn; decided by people only."""

import uuid

import pytest
from flask import Flask
from sqlalchemy import select

from portal.audit.log import OPERATOR
from portal.extensions import db
from portal.identity.models import User
from portal.notifications import approvals
from portal.notifications.models import Approver, Verdict
from tests.cast import Cast
from tests.portal.web.api.calling import System, done, refused

ASKED = {"title": "Deploy 2.4?", "approvers": ["alice@acme.test"]}


def decide(app: Flask, approval_id: str, comment: str) -> None:
    with app.app_context():
        approver = db.session.scalars(
            select(Approver).where(Approver.approval_id == uuid.UUID(approval_id))
        ).first()
        assert approver is not None
        approvals.decide(approver, Verdict.APPROVED, comment=comment, actor=OPERATOR)
        db.session.commit()


def test_an_approval_is_accepted_with_its_letters(acme: System, cast: Cast) -> None:
    asked = ASKED | {
        "text": "On Friday",
        "resource": {"name": "shop", "url": "https://ci.test/7"},
        "policy": "any",
        "requested_by": cast.bob.email,
        "approvers": ["role:administrator", cast.dave.email],
    }
    made = done(acme.post("/approvals", asked), 202)
    assert (made["state"], made["decisions"], made["policy"]) == ("pending", [], "any")
    assert set(made["approvers"]) == {cast.alice.email, cast.dave.email}
    assert {letter["kind"] for letter in made["deliveries"]} == {"approval.requested"}
    assert made["requested_by"] == cast.bob.email
    assert made["left_out"] == []
    read = done(acme.get(f"/approvals/{made['id']}"))
    assert read["deliveries"][::-1] == made["deliveries"]
    assert {key: read[key] for key in read if key != "deliveries"} == {
        key: made[key] for key in made if key != "deliveries"
    }


def test_who_has_the_role_and_gets_no_letter_is_named(app: Flask, acme: System, cast: Cast) -> None:
    with app.app_context():
        dave = db.session.scalars(select(User).where(User.email == cast.dave.email)).one()
        dave.verified_at = None
        db.session.commit()
    asked = ASKED | {"approvers": [cast.alice.email, "role:member"]}
    made = done(acme.post("/approvals", asked), 202)
    assert made["left_out"] == [{"entry": "role:member", "reason": "no_verified_address"}]
    assert done(acme.get(f"/approvals/{made['id']}"))["left_out"] == made["left_out"]


def test_a_decision_names_who_when_and_why(app: Flask, acme: System, cast: Cast) -> None:
    approval_id = done(acme.post("/approvals", ASKED), 202)["id"]
    decide(app, approval_id, "fine")
    read = done(acme.get(f"/approvals/{approval_id}"))
    (decision,) = read["decisions"]
    assert read["state"] == "approved"
    assert decision.pop("at") == read["decided_at"]
    assert decision == {"by": cast.alice.email, "decision": "approved", "comment": "fine"}


def test_a_pending_request_is_withdrawn_once_and_for_all(acme: System) -> None:
    approval_id = done(acme.post("/approvals", ASKED), 202)["id"]
    for _ in range(2):
        read = done(acme.post(f"/approvals/{approval_id}/withdraw"))
        assert read["state"] == "withdrawn"
    assert {letter["state"] for letter in read["deliveries"]} == {"cancelled"}


def test_what_was_decided_cannot_be_withdrawn(app: Flask, acme: System) -> None:
    approval_id = done(acme.post("/approvals", ASKED), 202)["id"]
    decide(app, approval_id, "")
    answer = acme.post(f"/approvals/{approval_id}/withdraw")
    refused(answer, 409)
    assert "approved" in answer.get_json()["detail"]


@pytest.mark.parametrize(
    ("wrong", "pointer", "says"),
    [
        ({"title": ""}, "/title", "Say in one line"),
        ({"approvers": []}, "/approvers", "at least one"),
        ({"approvers": ["carol@globex.test"]}, "/approvers", "not a member"),
        ({"approvers": ["eve@outside.test"]}, "/approvers", "not a member"),
        ({"approvers": [{}]}, "/approvers/0", "text"),
        ({"policy": "most"}, "/policy", "any"),
        ({"policy": []}, "/policy", ""),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at", "next 90 days"),
        ({"callback_url": "https://x.test"}, "/callback_url", "not available yet"),
        ({"aprovers": []}, "/aprovers", "Did you mean approvers?"),
    ],
)
def test_wrong_input_is_refused_by_name(
    acme: System, wrong: dict[str, object], pointer: str, says: str
) -> None:
    errors = refused(acme.post("/approvals", ASKED | wrong))
    assert says in errors[pointer], errors


def test_another_organizations_approval_looks_absent(acme: System, globex: System) -> None:
    approval_id = done(acme.post("/approvals", ASKED), 202)["id"]
    for method, path in (("GET", ""), ("POST", "/withdraw")):
        theirs = globex.call(method, f"/approvals/{approval_id}{path}")
        refused(theirs, 404)
        assert theirs.data == globex.call(method, f"/approvals/{uuid.uuid4()}{path}").data
