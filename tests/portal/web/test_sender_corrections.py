"""What the form of a sender puts right is said on the next page."""

import pytest
from flask import Flask

from tests.browser import Browser
from tests.cast import Cast
from tests.portal.web.senders import login_server, typed_for, with_secret

NEW = "/organizations/globex/senders/new"


@pytest.mark.parametrize(
    ("typed", "stored", "says"),
    [
        ("smtp://SMTP.globex.test/", "smtp.globex.test", "stored as smtp.globex.test."),
        ("https://smtp.globex.test", "smtp.globex.test", "stored as smtp.globex.test."),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("SMTP.Globex.test.", "smtp.globex.test", None),
    ],
)
def test_a_server_that_is_put_right_is_said(
    app: Flask, visit: Browser, cast: Cast, typed: str, stored: str, says: str | None
) -> None:
    visit.sign_in(cast.carol)
    with login_server() as server:
        values = typed_for(server, server=typed, name="corrected")
    page = visit.open(NEW).submit(with_secret(values), button="save")
    assert ("The SMTP server was stored as" in page.text) == (says is not None)
    assert (says or "") in page.text
    assert stored in page.text
    if ":" in stored:
        assert f"[{stored}]:" in visit.open("/organizations/globex/senders").text


def test_a_port_that_follows_the_encryption_is_said(app: Flask, visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.carol)
    with login_server() as server:
        values = typed_for(server, server="smtp.globex.test", port="587", encryption="tls")
    page = visit.open(NEW).submit(with_secret(values), button="save")
    assert "The port follows the encryption: 465." in page.text
