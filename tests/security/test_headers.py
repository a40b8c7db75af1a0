"""What every answer says to browsers and caches: pages, refusals, failures, calls and files."""

import re
from dataclasses import replace

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal import keys
from portal.app import create_app
from portal.config import Config
from portal.extensions import db
from portal.web.guard import public
from tests.browser import Browser
from tests.cast import Cast
from tests.databases import EngineName
from tests.security.doors import FRAMED, all_doors, owner_of
from tests.security.world import Who, World

_POLICY = {
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "frame-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}
_ONE_ENGINE = pytest.mark.parametrize("engine_name", [EngineName.SQLITE], ids=["sqlite"])


def missing(answer: TestResponse) -> list[str]:
    """What an answer of the portal's own should say and does not."""
    said = answer.headers
    policy = {part.strip() for part in said.get("Content-Security-Policy", "").split(";")}
    found = [f"policy: {wanted}" for wanted in _POLICY - policy]
    found += [f"policy: not {extra}" for extra in policy - _POLICY if extra]
    for name, value in (
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
    ):
        if said.get_all(name) != [value]:
            found.append(f"{name}: {said.get_all(name)}")
    return found


def test_every_answer_carries_the_headers(world: World) -> None:
    wrong = []
    for door in all_doors(world.app):
        for caller in world.callers.values():
            if caller.who not in (Who.NOBODY, Who.BOB, Who.RITA_ACTING, Who.HOST_READ):
                continue
            path = door.at(world, slug="acme", owner=owner_of(door, "acme", caller))
            answer = caller.call(door.method, path)
            is_frame = door.endpoint in FRAMED and answer.status_code == 200
            if not is_frame and (problems := missing(answer)):
                wrong.append(f"{caller.who}: {door} {answer.status_code}: {problems}")
    assert not wrong, "\n".join(wrong)


def test_mail_is_framed_in_a_sandbox(world: World) -> None:
    """Nothing runs, nothing is loaded, no form is sent, and no session is known to it."""
    rita = world.callers[Who.RITA]
    for door in all_doors(world.app):
        if door.endpoint not in FRAMED:
            continue
        answer = rita.call("GET", door.at(world, slug="acme", owner=owner_of(door, "acme", rita)))
        policy = answer.headers["Content-Security-Policy"]
        assert answer.status_code == 200, f"{door}: {answer.status_code}"
        assert "sandbox" in policy and "allow-scripts" not in policy, f"{door}: {policy}"
        assert "allow-same-origin" not in policy and "allow-forms" not in policy
        for wanted in ("default-src 'none'", "form-action 'none'", "frame-ancestors 'self'"):
            assert wanted in policy, f"{door}: {policy}"
        for name, value in (
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Frame-Options", "SAMEORIGIN"),
        ):
            assert answer.headers[name] == value, f"{door}: {name}"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing-here", 404),
        ("GET", "/api/v1/nothing-here", 404),
        ("GET", "/api/nothing-here", 404),
        ("GET", "/static/nothing-here.css", 404),
        ("DELETE", "/sign-in", 405),
        ("POST", "/api/v1/openapi.json", 405),
        ("OPTIONS", "/sign-in", 200),
        ("TRACE", "/sign-in", 405),
        ("BREW", "/sign-in", 405),
        ("POST", "/sign-in", 400),
        ("POST", "/api/v1/alerts", 401),
        ("GET", "/me/profile", 303),
    ],
)
def test_every_refusal_carries_the_headers(
    world: World, method: str, path: str, status: int
) -> None:
    answer = world.app.test_client().open(path, method=method)
    assert answer.status_code == status
    is_file = path.startswith("/static/")
    assert [problem for problem in missing(answer) if not is_file or "Cache" not in problem] == []


def test_an_unknown_host_gets_the_headers_too(world: World) -> None:
    answer = world.app.test_client().get("/", headers={"Host": "evil.test"})
    assert answer.status_code == 400 and not missing(answer)


def test_files_are_typed_and_may_be_kept(world: World) -> None:
    answer = world.app.test_client().get("/static/gatepost.css")
    assert answer.status_code == 200 and answer.mimetype == "text/css"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "max-age" in answer.headers["Cache-Control"]
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/boom", "/api/v1/boom"])
@_ONE_ENGINE
def test_a_failure_tells_its_number_and_nothing_of_its_insides(config: Config, path: str) -> None:
    app = create_app(config)
    app.add_url_rule(path, "boom", public(_boom))
    keys.ensure(app)
    answer = app.test_client().get(path)
    assert answer.status_code == 500 and not missing(answer)
    for inside in ("Traceback", "ZeroDivisionError", "hunter2", __file__):
        assert inside not in answer.text
    assert re.search(r"number [0-9a-f]{12}", answer.text), "what to look for in the log"


@_ONE_ENGINE
def test_the_session_cookie_is_kept_from_scripts_other_sites_and_clear_text(
    config: Config, cast: Cast
) -> None:
    for base_url, is_secure in (("https://mail.gatepost.test", True), (config.base_url, False)):
        app = create_app(replace(config, base_url=base_url))
        keys.ensure(app)
        cookies = _cookies_of_sign_in(app, base_url, cast)
        assert cookies
        for cookie in cookies:
            attributes = {part.strip() for part in cookie.split(";")[1:]}
            assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= attributes, cookie
            assert ("Secure" in attributes) is is_secure, cookie
            assert not any(part.startswith("Domain") for part in attributes), cookie
            assert cookie.startswith("gatepost="), "no cookie remembers anybody"


@_ONE_ENGINE
def test_a_cookie_that_was_planted_before_sign_in_is_worth_nothing_after(
    app: Flask, cast: Cast
) -> None:
    browser = Browser(app)
    browser.open("/sign-in")
    planted = browser.client.get_cookie("gatepost")
    browser.sign_in(cast.alice)
    assert planted is not None
    other = app.test_client()
    other.set_cookie("gatepost", planted.value)
    assert other.get("/me/profile").status_code == 303


def _boom() -> str:
    password = "hunter2"
    return f"{password}{1 // 0}"


def _cookies_of_sign_in(app: Flask, base_url: str, cast: Cast) -> list[str]:
    client = app.test_client()
    page = client.get("/sign-in", base_url=base_url)
    token = page.text.partition('name="csrf_token"')[2].partition('value="')[2].partition('"')[0]
    form = {"email": cast.bob.email, "password": cast.bob.password, "csrf_token": token}
    answer = client.post("/sign-in", base_url=base_url, data=form)
    assert answer.status_code == 303, answer.text
    with app.app_context():
        db.engine.dispose()
    return page.headers.getlist("Set-Cookie") + answer.headers.getlist("Set-Cookie")
