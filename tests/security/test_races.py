"""Two who do the same at the same moment: one wins, the other is told so in plain words."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.audit.log import OPERATOR
from portal.extensions import db
from portal.identity import members, organizations, users
from portal.identity.models import AccountLink, ApiToken, Membership, Organization, Role, User
from portal.settings.models import Sender
from tests.browser import Browser
from tests.cast import Cast, Person
from tests.page_rules import parse, text_of
from tests.security.world import Caller, Who, World

_ROUNDS = 4
_SENDER = {
    "display_name": "Twin",
    "from_address": "twin@acme.test",
    "server": "smtp.twin.test",
    "port": "587",
    "encryption": "starttls",
    "authentication": "none",
    "revision": "0",
    "act": "save",
}


def at_once(*calls: Callable[[], TestResponse]) -> list[TestResponse]:
    """The answers to calls that start together."""
    gate = threading.Barrier(len(calls))

    def go(call: Callable[[], TestResponse]) -> TestResponse:
        gate.wait(10)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(go, calls))


@pytest.mark.parametrize(
    ("whos", "path", "field", "more", "told"),
    [
        (
            (Who.ALICE, Who.RITA_ACTING),
            "/organizations/acme/senders/new",
            "name",
            _SENDER,
            "There is a sender named",
        ),
        ((Who.RITA, Who.RITA_ACTING), "/host/senders/new", "name", _SENDER, "a sender named"),
        (
            (Who.RITA, Who.RITA_ACTING),
            "/host/organizations/new",
            "slug",
            {"name": "Twin"},
            "Another organization is called",
        ),
        (
            (Who.ALICE, Who.RITA_ACTING),
            "/organizations/acme/members/new",
            "email",
            {"name": "Twin", "role": "member"},
            "is invited already",
        ),
        (
            (Who.RITA, Who.RITA_ACTING),
            "/host/administrators/new",
            "email",
            {"name": "Twin"},
            "is invited already",
        ),
    ],
    ids=["sender", "host sender", "organization", "invitation", "host invitation"],
)
def test_of_two_forms_with_one_name_one_wins_and_the_other_is_told(
    world: World,
    whos: Sequence[Who],
    path: str,
    field: str,
    more: Mapping[str, str],
    told: str,
) -> None:
    for number in range(_ROUNDS):
        value = f"twin-{number}" if field != "email" else f"twin-{number}@{len(path)}.test"
        before = _count(world.app)
        answers = _both(world, whos, path, {**more, field: value})
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [303, 422], [_said(answer) for answer in answers]
        loser = next(answer for answer in answers if answer.status_code == 422)
        assert told in _said(loser), _said(loser)
        assert _count(world.app) == before + 1


def test_of_two_calls_with_one_sender_name_one_wins(world: World) -> None:
    caller = world.callers[Who.ACME_CONFIGURE]
    body = {k: v for k, v in _SENDER.items() if k not in ("revision", "act")}
    for number in range(_ROUNDS):
        body |= {"name": f"called-{number}", "port": 587, "from_address": "called@acme.test"}
        answers = at_once(*[partial(caller.call, "POST", "/api/v1/senders", json=dict(body))] * 2)
        assert sorted(answer.status_code for answer in answers) == [201, 422]


def test_two_tokens_with_one_name_are_one(world: World) -> None:
    callers = [world.callers[Who.ALICE], world.callers[Who.RITA_ACTING]]
    for number in range(_ROUNDS):
        form = {"name": f"race-{number}", "scopes": "read", "lifetime": "30"}
        path = "/organizations/acme/api-tokens/new"
        answers = at_once(*[partial(caller.post, path, form) for caller in callers])
        assert all(answer.status_code < 500 for answer in answers)
        with world.app.app_context():
            wanted = select(func.count()).select_from(ApiToken)
            made = db.session.scalar(wanted.where(ApiToken.name == form["name"]))
        assert made == 1, [_said(answer) for answer in answers]


def test_two_administrators_who_demote_each_other_leave_one(app: Flask, cast: Cast) -> None:
    for number in range(_ROUNDS):
        slug = f"duel-{number}"
        ids = _duel(app, slug, [cast.alice, cast.carol])
        alice, carol = _signed_in(app, cast.alice), _signed_in(app, cast.carol)
        base = f"/organizations/{slug}/members"
        answers = at_once(
            partial(alice.post, f"{base}/{ids[cast.carol.email]}", {"role": "member"}),
            partial(carol.post, f"{base}/{ids[cast.alice.email]}", {"role": "member"}),
        )
        # Who lost the right a moment before is refused by the guard, or by the rule.
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses[0] == 303 and statuses[1] in (403, 422), statuses
        assert _administrators(app, slug) == 1


def test_two_administrators_who_remove_each_other_leave_one(app: Flask, cast: Cast) -> None:
    for number in range(_ROUNDS):
        slug = f"duel-{number}"
        ids = _duel(app, slug, [cast.alice, cast.carol])
        alice, carol = _signed_in(app, cast.alice), _signed_in(app, cast.carol)
        base = f"/organizations/{slug}/members"
        at_once(
            partial(alice.post, f"{base}/{ids[cast.carol.email]}/remove"),
            partial(carol.post, f"{base}/{ids[cast.alice.email]}/remove"),
        )
        assert _administrators(app, slug) == 1


def test_two_system_administrators_who_remove_each_other_leave_one(app: Flask, cast: Cast) -> None:
    with app.app_context():
        users.create(
            email="second@gatepost.test",
            name="Second Root",
            password=cast.rita.password,
            is_system_administrator=True,
            actor=OPERATOR,
        )
        db.session.commit()
        second = db.session.scalars(select(User).where(User.name == "Second Root")).one()
        other = Person(second.id, second.email, second.name)
    rita, root = _signed_in(app, cast.rita), _signed_in(app, other)
    answers = at_once(
        partial(rita.post, f"/host/administrators/{other.id}/remove"),
        partial(root.post, f"/host/administrators/{cast.rita.id}/remove"),
    )
    assert all(answer.status_code < 500 for answer in answers)
    with app.app_context():
        wanted = select(func.count()).select_from(User).where(User.is_system_administrator)
        assert db.session.scalar(wanted) == 1


def _both(
    world: World, whos: Sequence[Who], path: str, form: Mapping[str, str]
) -> list[TestResponse]:
    callers = [world.callers[who] for who in whos]
    return at_once(*[partial(caller.post, path, form) for caller in callers])


def _count(app: Flask) -> int:
    """Everything that the forms above make, together."""
    with app.app_context():
        counts = [
            db.session.scalar(select(func.count()).select_from(model)) or 0
            for model in (Sender, Organization, AccountLink)
        ]
    return sum(counts)


def _said(answer: TestResponse) -> str:
    if answer.mimetype != "text/html":
        return answer.text
    return " ".join(text_of(main) for main in parse(answer).root.query("main"))


def _duel(app: Flask, slug: str, people: Sequence[Person]) -> dict[str, str]:
    """A new organization with these Administrators. Returns their memberships by address."""
    with app.app_context():
        made = organizations.create(name=slug, short_name=slug, actor=OPERATOR)
        found = {
            person.email: members.add(
                made,
                db.session.get_one(User, person.id),
                role=Role.ADMINISTRATOR,
                actor=OPERATOR,
            )
            for person in people
        }
        db.session.commit()
        return {email: str(member.id) for email, member in found.items()}


def _signed_in(app: Flask, person: Person) -> Caller:
    browser = Browser(app)
    browser.sign_in(person)
    token = browser.open("/me/profile").form("Sign out").data["csrf_token"]
    return Caller(Who.NOBODY, browser.client, csrf_token=token)


def _administrators(app: Flask, slug: str) -> int:
    with app.app_context():
        wanted = (
            select(func.count())
            .select_from(Membership)
            .join(Organization)
            .where(Organization.slug == slug, Membership.role == Role.ADMINISTRATOR)
        )
        return db.session.scalar(wanted) or 0
