"""Members: roles change, people leave, and an Administrator always stays."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.audit.log import OPERATOR
from portal.audit.models import AuditEntry
from portal.extensions import db
from portal.identity import members, organizations, users
from portal.identity.models import Membership, Organization, Role, User
from portal.jobs import Event
from portal.validation import Invalid, Stale

ADMINISTRATOR, MEMBER = Role.ADMINISTRATOR, Role.MEMBER


@pytest.fixture
def acme(session: Session) -> Organization:
    return organizations.create(name="Acme", short_name="acme", actor=OPERATOR)


def person(name: str) -> User:
    return users.create(email=f"{name}@acme.test", name=name.title(), actor=OPERATOR)


def add(organization: Organization, name: str, role: Role) -> Membership:
    return members.add(organization, person(name), role=role, actor=OPERATOR)


def test_the_last_administrator_stays(acme: Organization) -> None:
    alice = add(acme, "alice", ADMINISTRATOR)
    add(acme, "bob", MEMBER)
    with pytest.raises(Invalid, match="last Administrator"):
        members.change_role(acme, alice, role=MEMBER, actor=OPERATOR)
    with pytest.raises(Invalid, match="last Administrator"):
        members.remove(acme, alice, actor=OPERATOR)
    assert members.is_last_administrator(acme, alice)


def test_one_of_two_administrators_may_go(acme: Organization, session: Session) -> None:
    alice, bob = add(acme, "alice", ADMINISTRATOR), add(acme, "bob", ADMINISTRATOR)
    members.remove(acme, alice, actor=OPERATOR)
    assert members.is_last_administrator(acme, bob)
    assert [user.name for user in members.administrators(acme)] == ["Bob"]


def test_administrators_of_another_organization_do_not_count(acme: Organization) -> None:
    globex = organizations.create(name="Globex", short_name="globex", actor=OPERATOR)
    alice = add(acme, "alice", ADMINISTRATOR)
    add(globex, "carol", ADMINISTRATOR)
    with pytest.raises(Invalid):
        members.remove(acme, alice, actor=OPERATOR)


def test_removing_keeps_the_account_and_tells_the_workers(
    acme: Organization, session: Session
) -> None:
    bob = add(acme, "bob", MEMBER)
    user_id = bob.user_id
    members.remove(acme, bob, actor=OPERATOR)
    session.flush()
    event = session.scalars(select(Event).where(Event.topic == "person_removed")).one()
    assert event.organization_id == acme.id and event.data == {"user_id": str(user_id)}
    assert session.get(User, user_id) is not None
    assert members.search(acme, text="", after=None).members == []


def test_a_change_of_role_is_audited_once(acme: Organization, session: Session) -> None:
    bob = add(acme, "bob", MEMBER)
    for _ in range(2):
        members.change_role(acme, bob, role=ADMINISTRATOR, actor=OPERATOR)
    session.flush()
    wanted = select(AuditEntry).where(AuditEntry.action == "member.changed")
    entry = session.scalars(wanted).one()
    assert entry.organization_id == acme.id
    assert entry.changes == {"role": {"before": "member", "after": "administrator"}}


def test_a_member_of_another_organization_is_not_found(acme: Organization) -> None:
    globex = organizations.create(name="Globex", short_name="globex", actor=OPERATOR)
    carol = add(globex, "carol", MEMBER)
    assert members.find(acme, carol.id) is None
    with pytest.raises(Stale):
        members.remove(acme, carol, actor=OPERATOR)


def test_search_finds_names_and_addresses_and_takes_wildcards_literally(
    acme: Organization,
) -> None:
    add(acme, "alice", MEMBER)
    add(acme, "bob", MEMBER)

    def found(text: str) -> list[str]:
        return [m.user.name for m in members.search(acme, text=text, after=None).members]

    assert found("ALI") == ["Alice"] and found("bob@") == ["Bob"]
    assert found("") == ["Alice", "Bob"] and found("%") == []


def test_pages_go_on_where_the_last_one_ended(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "PAGE", 2)
    for name in ("eve", "dan", "cid", "bob", "ann"):
        add(acme, name, MEMBER)
    seen, after, pages = [], None, 0
    while pages == 0 or after is not None:
        page = members.search(acme, text="", after=after)
        seen += [member.user.name for member in page.members]
        after, pages = page.next, pages + 1
    assert seen == ["Ann", "Bob", "Cid", "Dan", "Eve"] and pages == 3


def test_two_administrators_who_remove_each_other_at_once_leave_one(app: Flask) -> None:
    with app.app_context():
        acme = organizations.create(name="Acme", short_name="acme", actor=OPERATOR)
        ids = [add(acme, name, ADMINISTRATOR).id for name in ("alice", "bob")]
        db.session.commit()
    start = threading.Barrier(2)

    def remove(member_id: uuid.UUID) -> bool:
        with app.app_context():
            start.wait()
            acme = organizations.by_slug("acme")
            assert acme is not None
            member = members.find(acme, member_id)
            try:
                assert member is not None
                members.remove(acme, member, actor=OPERATOR)
            except Invalid:
                return False
            db.session.commit()
            return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(remove, ids)) == [False, True]
