"""Forms that come twice, too late, or with words that hide a line break."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from portal.audit.log import SYSTEM
from portal.clock import new_id
from portal.extensions import db
from portal.identity.models import Organization
from portal.notifications import alerts
from portal.notifications.models import Alert, Approval
from portal.validation import Invalid
from tests.browser import Browser
from tests.cast import Cast


def count(app: Flask, model: type[Alert] | type[Approval]) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_an_alert_form_that_is_posted_twice_raises_one_alert(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    visit.sign_in(cast.alice)
    form = visit.open("/organizations/acme/alerts/new")
    first = form.submit({"title": "Disk full"}, button="Raise the alert")
    again = form.submit({"title": "Disk full"}, button="Raise the alert")
    assert first.heading == again.heading == "Disk full"
    assert count(app, Alert) == 1


def test_an_approval_form_that_is_posted_twice_asks_once(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    visit.sign_in(cast.alice)
    form = visit.open("/organizations/acme/approvals/new")
    values = {"title": "Release 4.12?", "approvers": cast.bob.email}
    first = form.submit(values, button="Ask for the approval")
    again = form.submit(values, button="Ask for the approval")
    assert first.heading == again.heading == "Release 4.12?"
    assert count(app, Approval) == 1


def test_a_form_after_the_session_ended_gives_back_what_was_typed(
    client: FlaskClient, cast: Cast
) -> None:
    form_token = str(new_id())
    answer = client.post(
        "/organizations/acme/alerts/new",
        data={"title": "Disk <b>full</b>", "password": "hunter2", "form_token": form_token},
    )
    assert answer.status_code == 401
    assert "You were signed out" in answer.text
    assert "Disk &lt;b&gt;full&lt;/b&gt;" in answer.text
    assert "hunter2" not in answer.text and form_token not in answer.text


def test_an_encoded_word_is_refused_where_it_is_typed(visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.alice)
    form = visit.open("/organizations/acme/alerts/new")
    page = form.submit({"title": "=?utf-8?q?a=0d=0ab?="}, button="Raise the alert", status=422)
    assert any("without =?" in error for error in page.errors), page.errors


def test_a_form_token_that_another_organization_used_makes_nothing_and_shows_nothing(
    app: Flask, cast: Cast
) -> None:
    token = new_id()
    said = alerts.parse_raise(title="Disk full", severity="warning")
    with app.app_context():
        globex = db.session.get_one(Organization, cast.globex.id)
        alerts.raise_alert(globex, said, actor=SYSTEM, new_alert_id=token)
        db.session.commit()
        acme = db.session.get_one(Organization, cast.acme.id)
        with pytest.raises(Invalid, match="once more"):
            alerts.raise_alert(acme, said, actor=SYSTEM, new_alert_id=token)
        db.session.rollback()
    assert count(app, Alert) == 1
