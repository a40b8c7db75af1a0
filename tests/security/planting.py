"""A process of its own that plants secrets by the real interfaces, sends, fails, and looks at every
page. What it says on its console is the log that the test searches.

    python -m tests.security.planting DATABASE_URL DATA_FOLDER RESULT

RESULT becomes JSON: `secrets` by what they are, `answers` by address.
"""

import base64
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import select, text

from portal import keys
from portal.app import create_app
from portal.audit.log import OPERATOR
from portal.delivery import outbox
from portal.delivery.models import Delivery
from portal.extensions import db
from portal.identity import passwords
from portal.settings import changes
from tests.browser import Browser
from tests.cast import PASSWORD
from tests.conftest import config_for
from tests.databases import Database, EngineName
from tests.delivering import hurry, take_turns
from tests.security.doors import all_doors, owner_of
from tests.security.world import Who, World, build
from tests.smtp_server import SmtpServer, reply

_USER = "platform"
SENDER_PASSWORD = "Canary-sender-4711-äé"
TYPED_PASSWORD = "Canary-typed-and-not-saved-4712"
ORGANIZATION_PASSWORD = "Canary-of-acme-4713"
TESTED_PASSWORD = "Canary-only-tested-4714"
WRONG_PASSWORD = "Canary-mistyped-4715"
NEW_PASSWORD = "Canary-chosen-anew-4716"


def main(url: str, data_dir: str, result: str) -> None:
    engine = EngineName.SQLITE if url.startswith("sqlite") else EngineName.POSTGRESQL
    # Argon2 with the least work: everyone signs in.
    passwords.hasher = PasswordHasher(1, 8, 1)
    app = create_app(config_for(Database(engine, url), Path(data_dir)))
    keys.ensure(app)
    with SmtpServer(auth={_USER: SENDER_PASSWORD}) as server:
        world = build(app)
        token = _plant(world, server)
        _fail(world, server)
        _mistype(world)
        answers = dict(_seen(world))
        secrets = {**_secrets(world), "a token made on a page": token}
        _break(world)
    Path(result).write_text(json.dumps({"secrets": secrets, "answers": answers}))


def spellings(secret: str) -> Iterator[bytes]:
    """A secret as it could lie in a file: plain, quoted, and as AUTH sends it."""
    yield secret.encode()
    yield quote(secret).encode()
    yield json.dumps(secret)[1:-1].encode()
    yield base64.b64encode(secret.encode()).rstrip(b"=")
    for login in (_USER, "spare"):
        yield base64.b64encode(f"\0{login}\0{secret}".encode()).rstrip(b"=")


def _plant(world: World, server: SmtpServer) -> str:
    """Senders with passwords, mail with links, a token made on a page; all sent and accepted."""
    host = world.callers[Who.HOST_CONFIGURE]
    with world.app.app_context():
        changes.save_allowed_destinations([f"127.0.0.1:{server.port}"], actor=OPERATOR)
        db.session.commit()
    own = {"server": server.host, "port": server.port, "encryption": "none"}
    login = {"authentication": "password", "allow_clear_login": True, "active": True}
    saved = host.call(
        "PATCH",
        "/api/v1/senders/platform",
        json={**own, **login, "username": _USER, "password": SENDER_PASSWORD},
    )
    assert saved.status_code == 200, saved.text
    saved = host.call(
        "PATCH",
        "/api/v1/organizations/acme/senders/spare-of-acme",
        json={**own, **login, "username": "spare", "password": ORGANIZATION_PASSWORD},
    )
    assert saved.status_code == 200, saved.text
    tested = host.call(
        "POST",
        "/api/v1/senders/platform/test",
        json={"to": "rita@gatepost.test", "password": TESTED_PASSWORD},
    )
    assert tested.status_code == 200 and not tested.get_json()["passed"], tested.text
    _type_without_saving(world)
    _use_links(world)
    with world.app.app_context():
        take_turns()
    assert server.messages
    return _token_of_a_page(world)


def _type_without_saving(world: World) -> None:
    """A password in a form that comes back: it is kept sealed, and written into no page."""
    rita = Browser(world.app)
    rita.sign_in(world.cast.rita)
    page = rita.open(f"/host/senders/{world.things['host']['sender_id']}/edit")
    page.submit(
        {"password": TYPED_PASSWORD, "from_address": "no address"}, button="Save sender", status=422
    )


def _use_links(world: World) -> None:
    invited = {"email": "canary@acme.test", "name": "Canary", "role": "member"}
    answers = [
        world.callers[Who.NOBODY].post("/recovery", {"email": world.cast.bob.email}),
        world.callers[Who.ALICE].post("/organizations/acme/members/new", invited),
    ]
    assert [answer.status_code for answer in answers] == [303, 303]


def _token_of_a_page(world: World) -> str:
    form = {"name": "made on a page", "scopes": "read", "lifetime": "30"}
    shown = world.callers[Who.ALICE].post("/organizations/acme/api-tokens/new", form)
    token = "gp_" + shown.text.partition("gp_")[2][:43]
    used = world.app.test_client().get(
        "/api/v1/alerts", headers={"Authorization": f"Bearer {token}"}
    )
    assert used.status_code == 200, "the page shows the token once"
    return token


def _fail(world: World, server: SmtpServer) -> None:
    """A server that repeats what it was given in its refusal, in clear and encoded."""
    encoded = base64.b64encode(f"\0{_USER}\0{SENDER_PASSWORD}".encode()).decode()
    plain = SENDER_PASSWORD.encode("ascii", "replace").decode()
    server.set_script(auth=reply(f"535 5.7.8 wrong: {_USER} {SENDER_PASSWORD} {plain} {encoded}"))
    host = world.callers[Who.HOST_CONFIGURE]
    tested = host.call("POST", "/api/v1/senders/platform/test", json={"to": "rita@gatepost.test"})
    assert tested.status_code == 200 and not tested.get_json()["passed"]
    for spelling in spellings(SENDER_PASSWORD):
        assert spelling not in tested.data, "the report repeats the password"
    world.callers[Who.NOBODY].post("/recovery", {"email": world.cast.alice.email})
    alert = {"title": "Refused", "severity": "critical"}
    raised = world.callers[Who.ACME_SEND].call("POST", "/api/v1/alerts", json=alert)
    assert raised.status_code == 202, raised.text
    with world.app.app_context():
        take_turns()
        hurry()
        take_turns()


def _mistype(world: World) -> None:
    """Passwords at sign-in and on the page that changes one, wrong and right."""
    typed = {"email": world.cast.bob.email, "password": WRONG_PASSWORD}
    stranger = Browser(world.app)
    stranger.open("/sign-in").submit(typed, status=422)
    bob = Browser(world.app)
    bob.sign_in(world.cast.bob)
    page = bob.open("/me/security")
    names = [name for name in page.form("Change password").data if "password" in name]
    wrong = dict.fromkeys(names, NEW_PASSWORD) | {names[0]: WRONG_PASSWORD}
    page.submit(wrong, button="Change password", status=422)
    right = dict.fromkeys(names, NEW_PASSWORD) | {names[0]: PASSWORD}
    page.submit(right, button="Change password")


def _break(world: World) -> None:
    """Failures of ours while secrets are on their way: a table is gone, and that is logged."""
    for table in ("account_links", "senders", "api_tokens"):
        _run(world.app, f"ALTER TABLE {table} RENAME TO {table}_gone")
        _lose(world)
        _run(world.app, f"ALTER TABLE {table}_gone RENAME TO {table}")


def _lose(world: World) -> None:
    link = world.things["acme"]["invitation"]
    sender = {"name": "lost", "password": TYPED_PASSWORD, "authentication": "password"}
    typed = {"name": "Guest", "password": NEW_PASSWORD}
    calls = (
        world.callers[Who.NOBODY].post(f"/invitation/{link}", typed),
        world.callers[Who.RITA].post("/host/senders/new", sender),
        world.callers[Who.HOST_CONFIGURE].call("POST", "/api/v1/senders", json=sender),
        world.callers[Who.ALICE].post(
            "/organizations/acme/api-tokens/new", {"name": "lost", "scopes": "read"}
        ),
    )
    statuses = [answer.status_code for answer in calls]
    assert {500, 503} & set(statuses), statuses


def _run(app: Flask, statement: str) -> None:
    with app.app_context():
        db.session.execute(text(statement))
        db.session.commit()


def _seen(world: World) -> Iterator[tuple[str, str]]:
    """Every page and every call that reads, as everyone. Not the pages of the links themselves:
    who holds the link may read it there."""
    for door in all_doors(world.app):
        if not door.is_safe or "token" in door.objects:
            continue
        for caller in world.callers.values():
            if caller.is_system is door.is_api:
                path = door.at(world, slug="acme", owner=owner_of(door, "acme", caller))
                body = caller.call("GET", path).get_data()
                yield f"{caller.who}: {path}", body.decode(errors="replace")  # some are images
    for who in (Who.ALICE, Who.RITA):
        yield from _records(world, who)


def _records(world: World, who: Who) -> Iterator[tuple[str, str]]:
    """Each sending record of Acme and, for rita, of the host, with its attempts and replies."""
    with world.app.app_context():
        rows = db.session.execute(select(Delivery.id, Delivery.organization_id)).all()
    for delivery_id, organization_id in rows:
        is_acme = organization_id == world.cast.acme.id
        if is_acme or who is Who.RITA:
            place = "/organizations/acme" if is_acme and who is Who.ALICE else "/host"
            path = f"{place}/records/{delivery_id}"
            answer = world.callers[who].call("GET", path)
            assert answer.status_code == 200, path
            yield f"{who}: {path}", answer.text


def _secrets(world: World) -> dict[str, str]:
    found = {
        "the host's sender password": SENDER_PASSWORD,
        "a password that was typed and not saved": TYPED_PASSWORD,
        "Acme's sender password": ORGANIZATION_PASSWORD,
        "a password that was only tested": TESTED_PASSWORD,
        "a password that was mistyped": WRONG_PASSWORD,
        "a password that was chosen": NEW_PASSWORD,
        "the password of the cast": PASSWORD,
    }
    for caller in world.systems:
        found[str(caller.who)] = (caller.authorization or "").removeprefix("Bearer ")
    for owner, things in world.things.items():
        for link in ("invitation", "recovery", "decision"):
            if link in things:
                found[f"{link} link of {owner}"] = things[link]
    return found | _waiting_links(world.app)


def _waiting_links(app: Flask) -> dict[str, str]:
    """The links of mail that was not accepted yet: they lie sealed beside it."""
    found: dict[str, str] = {}
    with app.app_context():
        for delivery in db.session.scalars(select(Delivery)):
            links: Mapping[str, str] = outbox.secrets_of(delivery.id)
            for name, url in links.items():
                secret = url.rpartition("/")[2].partition("?")[0]
                found[f"{name} of {delivery.kind} to {delivery.recipient}"] = secret
    assert found, "no mail waits with its link"
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
