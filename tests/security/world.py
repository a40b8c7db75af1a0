"""The cast with a thing of each kind in both organizations and at the host, and everyone who may
call: people who are signed in, and systems with tokens."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal import caught
from portal.audit.log import OPERATOR
from portal.caught import Envelope
from portal.clock import utcnow
from portal.delivery import outbox
from portal.delivery.models import Delivery
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity import invitations, members, sessions, tokens, users
from portal.identity.models import Organization, Role, SignInSession, User
from portal.kinds import BY_KEY
from portal.notifications import accounts, alerts, approval_requests, routing
from portal.settings import logos, senders
from portal.settings.scope import HOST, Scope
from tests.browser import Browser
from tests.cast import Cast, Person, Tenant, assemble
from tests.images import LOGO
from tests.portal.records.records import listed

ABSENT_SLUG = "nowhere"
ABSENT_ID = uuid.UUID("01900000-0000-7000-8000-000000000000")
ABSENT_NAME = "no-such-thing"
ABSENT_TOKEN = "no-such-token-" + "0" * 20
EVERY_SCOPE = ("send", "read", "configure")
# On every suppression list, and nobody else's.
_GONE = "gone@gatepost.test"


class Who(StrEnum):
    """Everyone that the matrix lets knock at every door."""

    NOBODY = "nobody"
    BOB = "bob, a Member of Acme"
    ALICE = "alice, an Administrator of Acme"
    CAROL = "carol, an Administrator of Globex"
    DAVE = "dave, a Member of both"
    RITA = "rita, a system administrator"
    RITA_ACTING = "rita, acting in Acme"
    ACME_SEND = "a token of Acme: send"
    ACME_READ = "a token of Acme: read"
    ACME_CONFIGURE = "a token of Acme: configure"
    GLOBEX_TOKEN = "a token of Globex: every scope"
    HOST_SEND = "a token of the host: send"
    HOST_READ = "a token of the host: read"
    HOST_CONFIGURE = "a token of the host: configure"
    REVOKED = "a revoked token of Acme"
    EXPIRED = "an expired token of Acme"


@dataclass(frozen=True)
class Caller:
    """One of them at a client. People have a CSRF token, systems an Authorization header."""

    who: Who
    client: FlaskClient
    csrf_token: str = ""
    authorization: str | None = None

    @property
    def is_system(self) -> bool:
        return self.authorization is not None

    def call(self, method: str, path: str, **more: Any) -> TestResponse:
        headers = dict(more.pop("headers", {}))
        if self.authorization is not None:
            headers["Authorization"] = self.authorization
        return self.client.open(path, method=method, headers=headers, **more)

    def post(self, path: str, data: Mapping[str, Any] | None = None, **more: Any) -> TestResponse:
        """A form as this caller's browser would send it."""
        token = {"csrf_token": self.csrf_token}
        return self.call("POST", path, data={**token, **(data or {})}, **more)


@dataclass(frozen=True)
class World:
    """`things`: for the host and each slug, the value of each URL argument."""

    app: Flask
    cast: Cast
    callers: Mapping[Who, Caller]
    things: Mapping[str, Mapping[str, str]]

    @property
    def people(self) -> list[Caller]:
        return [caller for caller in self.callers.values() if not caller.is_system]

    @property
    def systems(self) -> list[Caller]:
        return [caller for caller in self.callers.values() if caller.is_system]


def build(app: Flask) -> World:
    """Plant everything, then sign everyone in."""
    cast = assemble(app)
    with app.app_context():
        secrets = _tokens(cast)
        things = {
            "host": _at_host(app),
            cast.acme.slug: _in_organization(cast.acme, approver=cast.bob),
            cast.globex.slug: _in_organization(cast.globex, approver=cast.carol),
        }
        db.session.commit()
    return World(app, cast, _callers(app, cast, secrets), things)


def _at_host(app: Flask) -> dict[str, str]:
    second = users.create(
        email="second@gatepost.test",
        name="Second Root",
        password="nine green lamps in a row",
        is_system_administrator=True,
        actor=OPERATOR,
    )
    invited = invitations.invite_to_host(
        email="third@gatepost.test", name="Third Root", actor=OPERATOR
    )
    token, _secret = tokens.create(None, name="listed", scopes=["read"], actor=OPERATOR)
    sender = senders.find(HOST, "platform")
    logos.save(HOST, LOGO, actor=OPERATOR)
    accounts.ask_recovery(second.email, ip="192.0.2.7")
    mailed = db.session.scalars(select(Delivery).where(Delivery.recipient == second.email)).one()
    content = b"From: a@b.test\r\nSubject: Caught\r\nMIME-Version: 1.0\r\n"
    content += b"Content-Type: text/html; charset=utf-8\r\n\r\n<head></head><p>Caught</p>\r\n"
    folder = app.extensions["config"].caught_mail_dir
    mail = caught.keep(folder, Envelope("127.0.0.1:25", None, "a@b.test", ("c@d.test",)), content)
    assert sender is not None
    return {
        "user_id": str(second.id),
        "invitation_id": str(invited.link.id),
        "token_id": str(token.id),
        "sender_id": str(sender.id),
        "sender": sender.name,
        "session_id": str(_other_session(second).id),
        "mail_id": str(mail.id),
        "invitation": invited.token,
        "recovery": outbox.secrets_of(mailed.id)["recovery_url"].split("/")[-1],
        "delivery_id": str(_test_mail().id),
        "suppression_id": str(listed(HOST, _GONE).id),
    }


def _test_mail() -> Delivery:
    """A record of the host whose letter may be looked at: it holds no link to an account."""
    data = {"sender_name": "platform", "server": "127.0.0.1:9", "level": "host", "asked_by": "Rita"}
    addressees = [Addressee("rita@gatepost.test")]
    enqueued = outbox.enqueue(None, BY_KEY["mail.test"], data=data, addressees=addressees)
    return enqueued.deliveries[0]


def _in_organization(tenant: Tenant, *, approver: Person) -> dict[str, str]:
    organization = db.session.get_one(Organization, tenant.id)
    guest = users.create(
        email=f"guest@{tenant.slug}.test",
        name=f"Guest of {tenant.name}",
        password="nine green lamps in a row",
        actor=OPERATOR,
    )
    member = members.add(organization, guest, role=Role.MEMBER, actor=OPERATOR)
    invited = invitations.invite(
        organization,
        email=f"invited@{tenant.slug}.test",
        name="Invited",
        role=Role.MEMBER,
        actor=OPERATOR,
    )
    token, _secret = tokens.create(organization, name="listed", scopes=["read"], actor=OPERATOR)
    rule = routing.add_rule(
        organization,
        category="alert",
        minimum_severity="info",
        audience=[f"user:{approver.email}"],
        actor=OPERATOR,
    )
    raised = alerts.raise_alert(
        organization,
        alerts.parse_raise(title=f"Disk of {tenant.name}", severity="critical"),
        actor=OPERATOR,
    )
    asked = approval_requests.request_approval(
        organization,
        approval_requests.parse_request(title=f"Deploy {tenant.name}", approvers=[approver.email]),
        actor=OPERATOR,
    )
    return {
        "member_id": str(member.id),
        "invitation_id": str(invited.link.id),
        "token_id": str(token.id),
        "sender_id": str(_sender(Scope.of(organization), tenant)),
        "sender": f"spare-of-{tenant.slug}",
        "rule_id": str(rule.id),
        "alert_id": str(raised.alert.id),
        "approval_id": str(asked.approval.id),
        "delivery_id": str(raised.deliveries[0].id),
        "suppression_id": str(listed(Scope.of(organization), _GONE).id),
        "notification_id": str(raised.alert.notification_id),
        "session_id": str(_other_session(guest).id),
        "invitation": invited.token,
        "decision": outbox.secrets_of(asked.deliveries[0].id)["approve_url"]
        .split("/")[-1]
        .split("?")[0],
    }


def _sender(scope: Scope, tenant: Tenant) -> uuid.UUID:
    values = {
        "display_name": f"Spare of {tenant.name}",
        "from_address": f"spare@{tenant.slug}.test",
        "server": f"smtp.{tenant.slug}.test",
        "port": 587,
        "encryption": "starttls",
        "authentication": "none",
    }
    saved = senders.save(
        scope,
        f"spare-of-{tenant.slug}",
        values,
        secret=senders.Clear(),
        actor=OPERATOR,
        activate=True,
    )
    return saved.sender.id


def _other_session(user: User) -> SignInSession:
    return sessions.start(user, ip="192.0.2.7", user_agent="another browser").session


def _tokens(cast: Cast) -> dict[Who, str]:
    acme = db.session.get_one(Organization, cast.acme.id)
    globex = db.session.get_one(Organization, cast.globex.id)
    made = {
        who: tokens.create(owner, name=who.name.lower(), scopes=list(scopes), actor=OPERATOR)
        for who, owner, scopes in (
            (Who.ACME_SEND, acme, ("send",)),
            (Who.ACME_READ, acme, ("read",)),
            (Who.ACME_CONFIGURE, acme, ("configure",)),
            (Who.GLOBEX_TOKEN, globex, EVERY_SCOPE),
            (Who.HOST_SEND, None, ("send",)),
            (Who.HOST_READ, None, ("read",)),
            (Who.HOST_CONFIGURE, None, ("configure",)),
            (Who.REVOKED, acme, EVERY_SCOPE),
            (Who.EXPIRED, acme, EVERY_SCOPE),
        )
    }
    tokens.revoke(made[Who.REVOKED][0], actor=OPERATOR)
    made[Who.EXPIRED][0].expires_at = utcnow() - timedelta(seconds=1)
    return {who: secret for who, (_row, secret) in made.items()}


def _callers(app: Flask, cast: Cast, secrets: Mapping[Who, str]) -> dict[Who, Caller]:
    people = {
        Who.BOB: cast.bob,
        Who.ALICE: cast.alice,
        Who.CAROL: cast.carol,
        Who.DAVE: cast.dave,
        Who.RITA: cast.rita,
        Who.RITA_ACTING: cast.rita,
    }
    callers = {Who.NOBODY: _at(Browser(app), Who.NOBODY, "/sign-in")}
    for who, person in people.items():
        browser = Browser(app)
        browser.sign_in(person)
        callers[who] = _at(browser, who, "/me/profile")
    _act(app, callers[Who.RITA_ACTING], cast.acme)
    for who, secret in secrets.items():
        callers[who] = Caller(who, app.test_client(), authorization=f"Bearer {secret}")
    return {who: callers[who] for who in Who}


def _at(browser: Browser, who: Who, path: str) -> Caller:
    tokens_seen = browser.open(path).root.query('input[name="csrf_token"]')
    return Caller(who, browser.client, csrf_token=tokens_seen[0].attrs["value"] or "")


def _act(app: Flask, caller: Caller, tenant: Tenant) -> None:
    answer = caller.post(f"/host/organizations/{tenant.slug}/act")
    assert answer.status_code == 303, answer.text
