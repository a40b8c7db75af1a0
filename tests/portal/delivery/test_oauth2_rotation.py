"""OAuth2 senders from test to delivery, with a token endpoint that replaces refresh tokens."""

from collections.abc import Iterator
from typing import Any

import pytest

from portal.audit.log import OPERATOR
from portal.delivery import sender_tests
from portal.delivery.models import State
from portal.delivery.outbox import Addressee
from portal.delivery.report import Report
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings import changes, effective, senders
from portal.settings.models import RotatedToken, Sender, VersionState
from portal.settings.scope import HOST
from portal.settings.senders import Keep, Replace, SecretChange
from portal.smtp import oauth2
from portal.validation import Invalid
from tests.delivering import enqueue, record, take_turns
from tests.portal.smtp.oauth2_setting import CLIENT, CLIENTS, SECRET
from tests.smtp_server import SmtpServer, reply
from tests.token_server import TokenServer

FIRST = "refresh-token-0"
GIVEN = Replace(SECRET, FIRST)


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    """Each refresh token is good for one use, each access token for one session."""
    with TokenServer(
        clients=CLIENTS, refresh_tokens=[FIRST], rotate=True, expires_in=0
    ) as endpoint:
        yield endpoint


@pytest.fixture
def mail(tokens: TokenServer) -> Iterator[SmtpServer]:
    with SmtpServer(tls="tls", tokens=tokens.live, require_auth=True) as server:
        yield server


def values(tokens: TokenServer, mail: SmtpServer, **changed: Any) -> dict[str, Any]:
    return {
        "display_name": "Platform",
        "from_address": "no-reply@gatepost.test",
        "server": mail.host,
        "port": mail.port,
        "encryption": "tls",
        "ca": tokens.ca,
        "authentication": "oauth2_refresh_token",
        "client_id": CLIENT,
        "token_url": tokens.url.replace("smtp.acme.test", "127.0.0.1"),
        **changed,
    }


def run(raw: dict[str, Any], secret: SecretChange, *, check_only: bool = False) -> Report:
    return sender_tests.run(
        None,
        senders.find(HOST, "token"),
        raw,
        name="token",
        secret=secret,
        to="rita@gatepost.test",
        check_only=check_only,
        actor=OPERATOR,
    )


def save(raw: dict[str, Any], secret: SecretChange = GIVEN, **more: Any) -> Sender:
    found = senders.find(HOST, "token")
    saved = senders.save(HOST, "token", raw, secret=secret, actor=OPERATOR, sender=found, **more)
    changes.set_default_sender(HOST, "token", actor=OPERATOR)
    db.session.commit()
    return saved.sender


def stored_token(sender: Sender) -> str | None:
    version = senders.shown_version(sender)
    return effective.bundle_of(HOST, sender, version).refresh_token


def another_process() -> None:
    """What this process remembers of tokens is gone, as after a restart."""
    oauth2._all.clear()


def test_what_a_test_rotated_is_what_save_stores_and_the_worker_uses(
    acme: Organization, tokens: TokenServer, mail: SmtpServer
) -> None:
    raw = values(tokens, mail)
    assert run(raw, GIVEN, check_only=True).passed
    another_process()
    assert run(raw, GIVEN).passed
    another_process()
    sender = save(raw)
    assert effective.version_of(sender, VersionState.ACTIVE) is not None
    assert {stored_token(sender)} == tokens.refresh_tokens

    (one,) = enqueue(None, Addressee("rita@gatepost.test"))
    take_turns()
    assert record(one).state is State.ACCEPTED
    assert {stored_token(sender)} == tokens.refresh_tokens
    another_process()
    (two,) = enqueue(None, Addressee("rita@gatepost.test"))
    take_turns()
    assert record(two).state is State.ACCEPTED
    used = [form["refresh_token"] for form in tokens.requests]
    assert len(set(used)) == len(used) == 4


def test_a_refused_mail_loses_no_rotated_token(
    acme: Organization, tokens: TokenServer, mail: SmtpServer
) -> None:
    raw = values(tokens, mail)
    sender = save(raw, activate=True)
    mail.set_script(rcpt=[reply("550 5.1.1 nobody")])
    assert not run(raw, Keep()).passed
    another_process()
    assert {stored_token(sender)} == tokens.refresh_tokens
    assert run(raw, Keep()).passed


def test_a_stored_draft_whose_test_rotates_its_token_becomes_active(
    acme: Organization, tokens: TokenServer, mail: SmtpServer
) -> None:
    raw = values(tokens, mail)
    sender = save(raw, activate=False)
    assert run(raw, Keep()).passed
    assert effective.version_of(sender, VersionState.ACTIVE) is not None
    assert {stored_token(sender)} == tokens.refresh_tokens


def test_rotated_tokens_lie_sealed(
    acme: Organization, tokens: TokenServer, mail: SmtpServer
) -> None:
    run(values(tokens, mail), GIVEN)
    (row,) = db.session.query(RotatedToken)
    (newest,) = tokens.refresh_tokens
    assert newest not in f"{row.key} {row.sealed}"


def attempt(act: str, raw: dict[str, Any]) -> None:
    if act == "save":
        save(raw, Keep(), activate=True)
    else:
        run(raw, Keep(), check_only=act == "check")


CHANGES = [
    "server",
    "port",
    "encryption",
    "verify",
    "ca",
    "username",
    "token_url",
    "client_id",
    "scope",
    "authentication",
]


@pytest.mark.parametrize("field", CHANGES)
@pytest.mark.parametrize("act", ["test", "check", "save"])
def test_no_byte_of_a_secret_reaches_a_changed_destination(
    acme: Organization, tokens: TokenServer, mail: SmtpServer, field: str, act: str
) -> None:
    raw = values(tokens, mail)
    save(raw, activate=True)
    with (
        TokenServer(clients=CLIENTS, refresh_tokens=[FIRST]) as evil_tokens,
        SmtpServer(tls="tls", tokens=evil_tokens.live) as evil_mail,
    ):
        changed = {
            "server": "localhost",
            "port": evil_mail.port,
            "encryption": "starttls",
            "verify": False,
            "ca": None,
            "username": "root@gatepost.test",
            "token_url": evil_tokens.url.replace("smtp.acme.test", "127.0.0.1"),
            "client_id": "another",
            "scope": "everything",
            "authentication": "oauth2_client_credentials",
        }[field]
        with pytest.raises(Invalid, match=r"again|Enter the client secret"):
            attempt(act, raw | {field: changed})
        db.session.rollback()
        assert evil_tokens.bytes_received == evil_tokens.connections == 0
        assert evil_mail.auth_bytes == evil_mail.connections == 0
    assert tokens.requests == []
    assert mail.auth_bytes == 0
