"""The form of a sender with OAuth2 and with the catalogue of providers, without any script."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import select

from portal.extensions import db
from portal.settings import effective, senders
from portal.settings.models import SecretDraft
from portal.settings.provider_texts import HINTS
from portal.settings.scope import HOST
from tests import smtp_certificates
from tests.browser import Browser, Page
from tests.cast import Cast
from tests.portal.smtp.oauth2_setting import private_pem
from tests.portal.web.senders import found, is_active, path_of
from tests.smtp_server import SmtpServer
from tests.token_server import TokenServer

NEW = "/host/senders/new"
CANARY = "canary-5c2e"


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    with TokenServer(clients={"portal": CANARY}, refresh_tokens=["refresh-token-0"]) as endpoint:
        yield endpoint


def typed(tokens: TokenServer, server: SmtpServer, **changes: str) -> dict[str, str]:
    return {
        "name": "new",
        "from_address": "alerts@gatepost.test",
        "display_name": "Alerts",
        "server": server.host,
        "port": str(server.port),
        "encryption": "tls",
        "ca": tokens.ca,
        "authentication": "oauth2_client_credentials",
        "client_id": "portal",
        "token_url": tokens.url.replace("smtp.acme.test", "127.0.0.1"),
        "client_secret": CANARY,
        **changes,
    }


def value_of(page: Page, name: str) -> str:
    (field,) = page.root.query(f"[name={name}]")
    return str(field.attrs.get("value") or "")


def without_secrets(page: Page) -> Page:
    for secret in (CANARY, "refresh-token-0", "BEGIN PRIVATE KEY"):
        assert secret not in page.response.text
    return page


@pytest.mark.parametrize("grant", ["oauth2_client_credentials", "oauth2_refresh_token"])
def test_a_grant_is_tested_unsaved_and_saved_active(
    app: Flask, visit: Browser, cast: Cast, tokens: TokenServer, grant: str
) -> None:
    by_refresh = {"authentication": grant, "refresh_token": "refresh-token-0"}
    changes = by_refresh if grant == "oauth2_refresh_token" else {}
    with SmtpServer(tls="tls", tokens=tokens.live, require_auth=True) as server:
        visit.sign_in(cast.rita)
        page = visit.open(NEW).submit(typed(tokens, server, **changes), button="send")
        without_secrets(page)
        assert "Passed" in page.text
        page = without_secrets(page.submit(button="Save and activate"))
    assert is_active(app, None, "new")
    assert "OAuth2" in page.text
    assert "SSL/TLS · OAuth2" in visit.open("/host/senders").text
    with app.app_context():
        assert not db.session.scalars(select(SecretDraft)).all()
        sender = found(None, "new")
        assert sender is not None
        bundle = effective.bundle_of(HOST, sender, senders.shown_version(sender))
        assert bundle.secret == CANARY


def test_a_private_key_is_checked_and_never_written_into_the_page(
    app: Flask, visit: Browser, cast: Cast, tokens: TokenServer
) -> None:
    service = {
        "authentication": "oauth2_service_account",
        "client_id": "p@project.test",
        "client_secret": "",
        "token_url": "",
    }
    with SmtpServer() as server:
        visit.sign_in(cast.rita)
        values = typed(tokens, server, **service, private_key="not a key")
        page = visit.open(NEW).submit(values, status=422)
        assert "The private key is needed as PEM" in page.text
        page = page.submit({"private_key": private_pem(), "display_name": ""}, status=422)
        without_secrets(page)
        page = without_secrets(page.submit({"display_name": "Alerts"}))
    assert "OAuth2 service account" in page.text
    edit = without_secrets(visit.open(path_of(app, None, "new") + "/edit"))
    assert value_of(edit, "client_id") == "p@project.test"


def test_a_typed_password_is_never_taken_for_a_client_secret(
    app: Flask, visit: Browser, cast: Cast, tokens: TokenServer
) -> None:
    with SmtpServer(tls="tls", auth={"a": CANARY}) as server:
        visit.sign_in(cast.rita)
        first = typed(tokens, server, client_secret="", authentication="password")
        first |= {"password": CANARY, "secret_act": "replace"}
        page = visit.open(NEW).submit(first, button="check")
        page = page.submit(
            {"authentication": "oauth2_client_credentials", "client_secret": ""},
            button="check",
            status=422,
        )
    assert "Enter the client secret" in page.text
    assert tokens.requests == []


def test_a_changed_token_url_asks_for_the_secret_again(
    app: Flask, visit: Browser, cast: Cast, tokens: TokenServer
) -> None:
    with SmtpServer(tls="tls", tokens=tokens.live) as server, TokenServer() as evil:
        visit.sign_in(cast.rita)
        visit.open(NEW).submit(typed(tokens, server))
        edit = visit.open(path_of(app, None, "new") + "/edit")
        changed = {"token_url": evil.url.replace("smtp.acme.test", "127.0.0.1")}
        for button in ("check", "send", "save"):
            page = edit.submit(changed, button=button, status=422)
            assert "Enter the client secret again" in page.text
        assert evil.connections == 0


@pytest.mark.parametrize(
    ("chosen", "address", "server", "port", "says"),
    [
        ("qq", "", "smtp.qq.com", "465", "authorization code"),
        ("", "me@163.com", "smtp.163.com", "465", "authorization code"),
        ("", "me@corp.example", "smtp.corp.example", "587", "is a guess by the address"),
        ("microsoft365", "", "smtp.office365.com", "587", "client secret"),
    ],
)
def test_a_provider_fills_in_its_values_and_keeps_what_was_typed(
    app: Flask, visit: Browser, cast: Cast, chosen: str, address: str, server: str, port: str,
    says: str,
) -> None:  # fmt: skip
    visit.sign_in(cast.rita)
    page = visit.open(NEW).submit(
        {"provider": chosen, "from_address": address, "display_name": "Alerts", "name": "n"},
        button="preset",
    )
    assert (value_of(page, "server"), value_of(page, "port")) == (server, port)
    assert (value_of(page, "display_name"), value_of(page, "name")) == ("Alerts", "n")
    assert says in page.text
    assert found_nothing(app)


def test_microsoft_is_filled_in_with_its_limits_and_its_way_to_sign_in(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    visit.sign_in(cast.rita)
    page = visit.open(NEW).submit({"provider": "microsoft365"}, button="preset")
    assert (value_of(page, "per_minute"), value_of(page, "connections")) == ("30", "3")
    (chosen,) = page.root.query("#authentication option[selected]")
    assert chosen.attrs["value"] == "oauth2_client_credentials"
    assert "TENANT" in value_of(page, "token_url")


def test_without_a_provider_or_an_address_the_page_says_what_to_do(
    visit: Browser, cast: Cast
) -> None:
    visit.sign_in(cast.rita)
    page = visit.open(NEW).submit({}, button="preset")
    assert "Choose a provider, or enter the From address first." in page.text
    for hint in HINTS:
        assert str(hint) in page.text


def test_an_own_authority_is_shown_with_its_subject_and_end(
    app: Flask, visit: Browser, cast: Cast, tokens: TokenServer
) -> None:
    with SmtpServer(tls="tls", tokens=tokens.live) as server:
        visit.sign_in(cast.rita)
        page = visit.open(NEW).submit(typed(tokens, server))
    assert smtp_certificates.authority_pem() == tokens.ca
    assert "O=trustme" in page.text
    assert "until" in page.text


def found_nothing(app: Flask) -> bool:
    with app.app_context():
        return found(None, "n") is None
