"""The page of a sender says until when its certificate and its client secret are good."""

from datetime import timedelta

import pytest
from flask import Flask

from portal.clock import utcnow
from portal.extensions import db
from portal.settings import effective
from portal.settings.models import SenderVersion, VersionState
from portal.smtp.values import Authentication
from tests.browser import Browser
from tests.cast import Cast
from tests.portal.web.senders import found, typed_for
from tests.smtp_certificates import authority_pem
from tests.smtp_server import SmtpServer


def active(app: Flask) -> SenderVersion:
    sender = found(None, "new")
    assert sender is not None
    version = effective.version_of(sender, VersionState.ACTIVE)
    assert version is not None
    return version


def test_a_test_that_passed_notes_the_end_of_the_certificate(app: Flask, cast: Cast) -> None:
    rita = Browser(app)
    rita.sign_in(cast.rita)
    with SmtpServer(tls="tls") as server:
        page = rita.open("/host/senders/new").submit(typed_for(server), button="Send test mail")
        shown = page.submit(button="Save and activate")
        with app.app_context():
            seen = active(app).certificate_expires_at
            assert seen is not None and seen > utcnow()
            active(app).certificate_expires_at = utcnow() + timedelta(days=12, hours=1)
            db.session.commit()
        warned = rita.open(shown.path)
        assert (
            "12 days left" in warned.text and "Send a test mail, and this note goes" in warned.text
        )
        rita.open(shown.path + "/edit").submit(button="Send test mail")
    with app.app_context():
        assert active(app).certificate_expires_at == seen
    again = rita.open(shown.path)
    assert "this note goes" not in again.text and "days left" in again.text


@pytest.mark.parametrize(
    ("left", "said"),
    [(timedelta(days=60, hours=1), "60 days left"), (timedelta(days=-1), "expired")],
)
def test_the_end_of_a_client_secret_is_a_fact(
    app: Flask, cast: Cast, left: timedelta, said: str
) -> None:
    rita = Browser(app)
    rita.sign_in(cast.rita)
    with SmtpServer() as server:
        form = rita.open("/host/senders/new")
        shown = form.submit(typed_for(server), button="Activate without test")
    with app.app_context():
        version = active(app)
        version.authentication = Authentication.OAUTH2_CLIENT_CREDENTIALS
        version.client_secret_expires_at = utcnow() + left
        db.session.commit()
    page = rita.open(shown.path)
    assert said in page.text
    assert ("The client secret ends" in page.text) is (said == "expired")


def test_the_end_of_an_own_ca_stands_beside_it(app: Flask, cast: Cast) -> None:
    rita = Browser(app)
    rita.sign_in(cast.rita)
    with SmtpServer(tls="tls") as server:
        typed = typed_for(server, ca=authority_pem())
        page = rita.open("/host/senders/new").submit(typed, button="Activate without test")
    assert "verified, by your own CA" in page.text and "days left" in page.text
