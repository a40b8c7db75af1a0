import base64
import dataclasses
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from portal import caught, keys
from portal.app import create_app
from portal.caught import CaughtMail, Envelope
from portal.config import Config
from portal.extensions import db
from portal.smtp.body import InlineImage
from tests import cast as people
from tests.browser import Browser
from tests.cast import Cast
from tests.databases import EngineName
from tests.images import LOGO
from tests.portal.smtp.mails import build

pytestmark = pytest.mark.parametrize("engine_name", [EngineName.SQLITE])
ENVELOPE = Envelope("127.0.0.1:2525", None, "no-reply@acme.test", ("ann@acme.test",))
MAIL = """\
From: Acme <no-reply@acme.test>
To: ann@acme.test
Subject: =?utf-8?q?R=C3=A9sum=C3=A9?=
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=cut

--cut
Content-Type: text/plain; charset=utf-8

Decide here: http://127.0.0.1:8000/decide/abc?verdict=approved
<script>alert(1)</script>
--cut
Content-Type: text/html; charset=utf-8

<html><head><title>x</title></head><body><script>alert(1)</script></body></html>
--cut--
"""
HOSTILE = {
    "nothing": b"",
    "no headers": b"\r\n\r\nonly text",
    "a charset that is none": b"Content-Type: text/plain; charset=nonsense\r\n\r\nh\xc3\xa9llo",
    "a header in a charset that is none": b"Subject: =?nonsense?q?x?=\r\n\r\nhello",
    "raw bytes": b"Subject: \xff\xfe\r\nTo: \xe4\r\n\r\n\xff\xfe",
    "broken parts": b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nbroken",
    "markup in headers": b"Subject: <script>alert(1)</script>\r\n\r\nhello",
}


@pytest.fixture
def demo(config: Config) -> Iterator[Flask]:
    """A portal with the mail catcher switched on."""
    app = create_app(dataclasses.replace(config, mail_catcher=True))
    app.testing = True
    keys.ensure(app)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def cast(demo: Flask) -> Cast:
    return people.assemble(demo)


@pytest.fixture
def rita(demo: Flask, cast: Cast) -> Browser:
    browser = Browser(demo)
    browser.sign_in(cast.rita)
    return browser


def put(demo: Flask, content: bytes) -> CaughtMail:
    return caught.keep(demo.extensions["config"].caught_mail_dir, ENVELOPE, content)


def test_the_list_and_the_mail_are_found_by_their_links(demo: Flask, rita: Browser) -> None:
    assert "No mail yet" in rita.open("/host/mail-catcher").text
    put(demo, MAIL.encode())
    page = rita.open("/host/mail-catcher").follow("Résumé")
    assert page.heading == "Résumé"
    assert "ann@acme.test" in page.text
    assert "<script>alert(1)</script>" in page.text
    links = [a.attrs["href"] for a in page.root.query("main a[href]")]
    assert "http://127.0.0.1:8000/decide/abc?verdict=approved" in links
    assert [frame.attrs["sandbox"] for frame in page.root.query("iframe")] == [
        "allow-popups allow-popups-to-escape-sandbox"
    ]


def test_the_html_of_a_mail_runs_nothing_and_loads_nothing(demo: Flask, rita: Browser) -> None:
    mail = put(demo, MAIL.encode())
    answer = rita.client.get(f"/host/mail-catcher/{mail.id}/html")
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-popups")
    assert "allow-scripts" not in policy and "allow-same-origin" not in policy
    assert "default-src 'none'" in policy and "frame-ancestors 'self'" in policy
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_an_image_that_a_mail_carries_is_shown_in_its_html(demo: Flask, rita: Browser) -> None:
    shown = build(
        html='<img src="cid:logo.1@gatepost"><img src="cid:gone@gatepost">',
        images=(InlineImage("logo.1@gatepost", "png", LOGO),),
    )
    text = rita.client.get(f"/host/mail-catcher/{put(demo, shown).id}/html").text
    assert f'src="data:image/png;base64,{base64.b64encode(LOGO).decode()}"' in text
    assert 'src="cid:gone@gatepost"' in text


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_any_mail_can_be_opened(demo: Flask, rita: Browser, content: bytes) -> None:
    mail = put(demo, content)
    rita.open("/host/mail-catcher")
    page = rita.open(f"/host/mail-catcher/{mail.id}")
    assert not page.root.query("main script")


def test_a_mail_that_is_not_there_is_absent(rita: Browser) -> None:
    rita.open(f"/host/mail-catcher/{uuid.uuid4()}", status=404)
    rita.open(f"/host/mail-catcher/{uuid.uuid4()}/html", status=404)


def test_only_system_administrators_read_it(demo: Flask, cast: Cast) -> None:
    mail = put(demo, MAIL.encode())
    alice = Browser(demo)
    alice.sign_in(cast.alice)
    for path in ("", f"/{mail.id}", f"/{mail.id}/html"):
        alice.open(f"/host/mail-catcher{path}", status=403)


def test_without_the_catcher_there_is_no_page_and_no_entry(app: Flask, tmp_path: Path) -> None:
    cast = people.assemble(app)
    mail = caught.keep(app.extensions["config"].caught_mail_dir, ENVELOPE, MAIL.encode())
    rita = Browser(app)
    rita.sign_in(cast.rita)
    for path in ("", f"/{mail.id}", f"/{mail.id}/html"):
        rita.open(f"/host/mail-catcher{path}", status=404)
    assert "Mail catcher" not in rita.client.get("/host/organizations").text
