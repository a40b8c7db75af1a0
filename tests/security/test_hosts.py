"""Names and addresses that a request claims: which Host is answered, whose X-Forwarded headers
count, and where links in mail lead."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal import keys
from portal.app import create_app
from portal.config import Config
from portal.delivery import outbox
from portal.delivery.models import Delivery
from portal.extensions import db
from portal.identity.models import SignInAttempt
from tests.browser import Browser
from tests.cast import Cast
from tests.databases import EngineName

pytestmark = pytest.mark.parametrize("engine_name", [EngineName.SQLITE], ids=["sqlite"])

PROXY, STRANGER = "10.1.2.3", "203.0.113.9"


@pytest.mark.parametrize(
    "name",
    [
        "evil.test",
        "evil.test:8000",
        "127.0.0.1.evil.test",
        "127.0.0.1:8000@evil.test",
        "evil.test/127.0.0.1",
        "localhost.evil.test",
        "[",
        "[::1",
        "[evil]",
        "127.0.0.1:99999999",
        "127.0.0.1:port",
        "127.0.0.1 evil.test",
        "127.0.0.1,evil.test",
        "évil.test",
        "2130706433",
        "0.0.0.0",
        "",
    ],
)
def test_a_host_that_is_not_ours_is_refused_on_every_page(app: Flask, name: str) -> None:
    for path in ("/", "/sign-in", "/recovery", "/nothing-here", "/api/v1/openapi.json"):
        answer = _get(app, path, host=name)
        assert answer.status_code == 400, f"{path}: {answer.status_code}"
        assert "evil" not in answer.text and "evil" not in answer.headers.get("Location", "")


@pytest.mark.parametrize("name", ["127.0.0.1:8000", "127.0.0.1", "localhost:5000", "LOCALHOST"])
def test_the_names_of_the_portal_are_answered(app: Flask, name: str) -> None:
    assert _get(app, "/sign-in", host=name).status_code == 200


def test_health_is_answered_under_any_name(app: Flask) -> None:
    """Load balancers ask by address; the answer holds nothing that a name could turn."""
    for path in ("/health/live", "/health/ready"):
        assert _get(app, path, host="10.0.0.7:8000").status_code == 200


def test_links_in_mail_lead_to_the_configured_address_whatever_host_was_asked(
    config: Config, cast: Cast
) -> None:
    named = replace(config, base_url="https://mail.gatepost.test", allowed_hosts=("*",))
    with _application(named) as app:
        form = {"email": cast.bob.email}
        page = app.test_client()
        claims = {
            "Host": "evil.test",
            "X-Forwarded-Host": "evil.test",
            "Forwarded": "host=evil.test",
            "X-Original-URL": "//evil.test/",
            "X-Rewrite-URL": "//evil.test/",
        }
        answer = page.get("/recovery", headers=claims, base_url="https://evil.test")
        form["csrf_token"] = _csrf_token(answer)
        sent = page.post("/recovery", data=form, headers=claims, base_url="https://evil.test")
        assert sent.status_code == 303 and sent.location == "/recovery/asked"
        with app.app_context():
            mail = db.session.scalars(
                select(Delivery).where(Delivery.recipient == cast.bob.email)
            ).one()
            url = outbox.secrets_of(mail.id)["recovery_url"]
    assert url.startswith("https://mail.gatepost.test/recovery/")


@pytest.mark.parametrize("claim", ["X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Host"])
def test_a_stranger_cannot_give_the_portal_another_name(app: Flask, claim: str) -> None:
    value = "host=evil.test" if claim == "Forwarded" else "evil.test"
    answer = _get(app, "/me/profile", headers={claim: value})
    assert answer.status_code == 303 and "evil" not in answer.location


def test_only_a_trusted_proxy_says_where_a_request_came_from(config: Config, cast: Cast) -> None:
    with _application(replace(config, trusted_proxies=("10.0.0.0/8",))) as app:
        claims = {"X-Forwarded-For": "198.51.100.4"}
        _try_to_sign_in(app, PROXY, claims)
        _try_to_sign_in(app, STRANGER, claims)
        _try_to_sign_in(app, PROXY, {"X-Forwarded-For": "192.0.2.1, 198.51.100.5"})
        with app.app_context():
            seen = list(db.session.scalars(select(SignInAttempt.ip).order_by(SignInAttempt.id)))
    # Of a list only the last one counts: the proxy wrote it, the others came with the request.
    assert seen == ["198.51.100.4", STRANGER, "198.51.100.5"]


def test_without_trusted_proxies_nobody_says_where_a_request_came_from(
    app: Flask, cast: Cast
) -> None:
    _try_to_sign_in(app, "127.0.0.1", {"X-Forwarded-For": "198.51.100.4", "X-Real-IP": "1.2.3.4"})
    with app.app_context():
        assert list(db.session.scalars(select(SignInAttempt.ip))) == ["127.0.0.1"]


def test_a_trusted_proxy_may_name_the_host_that_was_asked_but_only_ours(config: Config) -> None:
    with _application(replace(config, trusted_proxies=("10.0.0.0/8",))) as app:
        for name, status in (("127.0.0.1:8000", 200), ("evil.test", 400)):
            answer = _get(
                app,
                "/sign-in",
                host="inner.local" if status == 200 else "127.0.0.1:8000",
                peer=PROXY,
                headers={"X-Forwarded-Host": name},
            )
            assert answer.status_code == status


@pytest.mark.parametrize("peer", ["", "not an address", "::ffff:10.1.2.3", "fe80::1%eth0"])
def test_an_odd_peer_is_no_proxy(config: Config, peer: str) -> None:
    """A Unix socket gives no address at all."""
    with _application(replace(config, trusted_proxies=("192.168.0.0/16",))) as app:
        claims = {"X-Forwarded-Host": "evil.test"}
        assert _get(app, "/sign-in", peer=peer, headers=claims).status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test/",
        "\\\\evil.test",
        "/\tevil.test",
        "/\r\nSet-Cookie: stolen=1",
        "/%0d%0aSet-Cookie: stolen=1",
        "/\u2028/evil.test",
        "javascript:alert(1)",
        "///evil.test",
        "/./\t/evil.test",
        "http:evil.test",
        "@evil.test",
        "/\x00/evil.test",
    ],
)
def test_sign_in_leads_nowhere_else(app: Flask, cast: Cast, target: str) -> None:
    client = app.test_client()
    page = client.get("/sign-in", query_string={"next": target})
    form = {
        "email": cast.bob.email,
        "password": cast.bob.password,
        "csrf_token": _csrf_token(page),
    }
    answer = client.post("/sign-in", query_string={"next": target}, data=form)
    assert answer.status_code == 303
    assert "Set-Cookie: stolen" not in str(answer.headers) and "stolen" not in {
        cookie.partition("=")[0] for cookie in answer.headers.getlist("Set-Cookie")
    }
    location = answer.location
    assert location == "/" or re.match(r"/[^/\\\s]", location), location
    assert not re.search(r"[\s\\]", location)


@contextmanager
def _application(config: Config) -> Iterator[Flask]:
    app = create_app(config)
    keys.ensure(app)
    yield app
    with app.app_context():
        db.engine.dispose()


def _get(
    app: Flask,
    path: str,
    *,
    host: str = "127.0.0.1:8000",
    peer: str = "127.0.0.1",
    headers: dict[str, str] | None = None,
) -> TestResponse:
    """With exactly this Host header, as a client may send it over the wire."""
    wire = host.encode().decode("latin-1")
    return app.test_client().get(
        path,
        headers=headers or {},
        environ_overrides={"HTTP_HOST": wire, "REMOTE_ADDR": peer},
    )


def _try_to_sign_in(app: Flask, peer: str, headers: dict[str, str]) -> None:
    browser = Browser(app)
    token = browser.open("/sign-in").form().data["csrf_token"]
    form = {"email": "bob@acme.test", "password": "wrong for sure", "csrf_token": token}
    answer = browser.client.post(
        "/sign-in", data=form, headers=headers, environ_overrides={"REMOTE_ADDR": peer}
    )
    assert answer.status_code == 422


def _csrf_token(page: TestResponse) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert found, page.text[:500]
    return found[1]
