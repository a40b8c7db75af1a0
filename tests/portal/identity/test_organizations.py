"""Organizations at the host, and who administers it."""

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
from portal.identity import (
    administrators,
    invitations,
    links,
    members,
    organizations,
    sessions,
    tokens,
    users,
)
from portal.identity.links import LinkRefused
from portal.identity.models import LinkPurpose, Organization, OrganizationState, Role, User
from portal.jobs import Event
from portal.validation import Invalid, Stale


def create(name: str, short_name: str) -> Organization:
    return organizations.create(name=name, short_name=short_name, actor=OPERATOR)


def root(name: str) -> User:
    return users.create(
        email=f"{name}@a.test", name=name, actor=OPERATOR, is_system_administrator=True
    )


@pytest.mark.parametrize(
    ("name", "short_name"),
    [
        ("Acme Europe GmbH", "acme-europe-gmbh"),
        ("  Café & Söhne  ", "cafe-sohne"),
        ("北京公司", ""),
        ("x" * 80, "x" * 63),
    ],
)
def test_a_short_name_is_made_from_the_name(name: str, short_name: str) -> None:
    assert organizations.suggested_slug(name) == short_name


@pytest.mark.parametrize(
    ("name", "short_name", "field"),
    [
        ("", "acme", "name"),
        ("a@b.test", "acme", "name"),
        ("Acme\r\nBcc: x", "acme", "name"),
        ("Acme", "", "slug"),
        ("Acme", "Acme", "slug"),
        ("Acme", "-a", "slug"),
        ("Acme", "taken", "slug"),
        ("Host", "host", "slug"),
    ],
)
def test_a_wrong_organization_is_refused(
    session: Session, name: str, short_name: str, field: str
) -> None:
    create("Taken", "taken")
    with pytest.raises(Invalid) as problem:
        create(name, short_name)
    assert problem.value.errors[0].field == field


def test_a_deleted_organization_keeps_its_row_and_frees_its_short_name(session: Session) -> None:
    acme = create("Acme", "acme")
    organizations.delete(acme, actor=OPERATOR)
    assert organizations.by_slug("acme") is None
    assert acme.state is OrganizationState.DELETED and acme.name == "Acme"
    assert create("Acme again", "acme").id != acme.id
    listed = organizations.search(text="", after=None).rows
    assert [row.organization.name for row in listed] == ["Acme again"]


def test_deleting_ends_memberships_tokens_and_invitations_and_keeps_accounts(
    session: Session,
) -> None:
    acme = create("Acme", "acme")
    ann = users.create(email="ann@a.test", name="Ann", actor=OPERATOR)
    members.add(acme, ann, role=Role.MEMBER, actor=OPERATOR)
    _row, secret = tokens.create(acme, name="ci", scopes=["send"], actor=OPERATOR)
    invited = invitations.invite(acme, email="b@a.test", name="B", role=Role.MEMBER, actor=OPERATOR)
    organizations.delete(acme, actor=OPERATOR)
    session.commit()
    assert members.membership_of(acme, ann) is None and session.get(User, ann.id) is ann
    assert tokens.authenticate(f"Bearer {secret}") is None
    with pytest.raises(LinkRefused):
        links.find(LinkPurpose.INVITATION, invited.token)
    event = session.scalars(select(Event).where(Event.topic == "organization_deleted")).one()
    assert event.organization_id == acme.id


def test_deleting_twice_is_told(session: Session) -> None:
    acme = create("Acme", "acme")
    organizations.delete(acme, actor=OPERATOR)
    with pytest.raises(Stale):
        organizations.delete(acme, actor=OPERATOR)


def test_suspending_and_resuming_are_told_once_each_and_never_revive_a_deleted_one(
    session: Session,
) -> None:
    acme = create("Acme", "acme")
    assert organizations.suspend(acme, actor=OPERATOR)
    assert not organizations.suspend(acme, actor=OPERATOR)
    assert acme.state is OrganizationState.SUSPENDED
    assert organizations.resume(acme, actor=OPERATOR)
    session.commit()
    topics = session.scalars(select(Event.topic).where(Event.organization_id == acme.id)).all()
    assert topics == ["sender_changed"] * 2
    told = {
        tuple(row) for row in session.execute(select(AuditEntry.action, AuditEntry.organization_id))
    }
    for action in ("organization.suspended", "organization.resumed"):
        assert {(action, None), (action, acme.id)} <= told
    organizations.delete(acme, actor=OPERATOR)
    for change in (organizations.suspend, organizations.resume):
        with pytest.raises(Stale):
            change(acme, actor=OPERATOR)


def test_the_statement_counts_who_belongs_only_here(session: Session) -> None:
    acme, globex, gone = create("Acme", "acme"), create("Globex", "globex"), create("Gone", "gone")
    for name, places in {"ann": [acme], "bob": [acme, globex], "cid": [acme, gone]}.items():
        user = users.create(email=f"{name}@a.test", name=name, actor=OPERATOR)
        for place in places:
            members.add(place, user, role=Role.MEMBER, actor=OPERATOR)
    organizations.delete(gone, actor=OPERATOR)
    touched = organizations.people(acme)
    assert (touched.members, touched.only_here) == (3, 2)


def test_the_list_counts_members_searches_and_pages(session: Session) -> None:
    acme = create("Acme", "acme")
    create("Globex", "glx")
    create("100% Mail", "mail")
    ann = users.create(email="ann@a.test", name="Ann", actor=OPERATOR)
    members.add(acme, ann, role=Role.MEMBER, actor=OPERATOR)

    def found(text: str) -> dict[str, int]:
        rows = organizations.search(text=text, after=None).rows
        return {row.organization.name: row.members for row in rows}

    assert found("acm") == {"Acme": 1} and found("GLX") == {"Globex": 0}
    assert found("%") == {"100% Mail": 0}
    first = organizations.search(text="", after=None, limit=2)
    second = organizations.search(text="", after=first.next, limit=2)
    names = [row.organization.name for row in first.rows + second.rows]
    assert names == ["100% Mail", "Acme", "Globex"] and second.next is None


def test_what_is_done_to_an_organization_stands_in_both_logs(session: Session) -> None:
    acme = create("Acme", "acme")
    organizations.rename(acme, name="Acme SE", actor=OPERATOR)
    session.flush()
    entries = session.scalars(
        select(AuditEntry).where(AuditEntry.action == "organization.changed")
    ).all()
    assert {entry.organization_id for entry in entries} == {None, acme.id}


def test_the_last_system_administrator_stays(session: Session) -> None:
    rita = root("rita")
    with pytest.raises(Invalid, match="last system administrator"):
        administrators.remove(rita, actor=OPERATOR)
    sam = root("sam")
    administrators.remove(rita, actor=OPERATOR)
    assert administrators.everyone() == [sam]


def test_two_system_administrators_who_remove_each_other_at_once_leave_one(app: Flask) -> None:
    with app.app_context():
        ids = [root("rita").id, root("sam").id]
        db.session.commit()
    start = threading.Barrier(2)

    def remove(user_id: uuid.UUID) -> bool:
        with app.app_context():
            start.wait()
            user = administrators.find(user_id)
            try:
                assert user is not None
                administrators.remove(user, actor=OPERATOR)
            except Invalid:
                return False
            db.session.commit()
            return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(remove, ids)) == [False, True]


def test_acting_is_audited_in_both_logs_and_ends_with_the_organization(session: Session) -> None:
    acme, rita = create("Acme", "acme"), root("rita")
    here = sessions.start(rita, ip=None, user_agent=None).session
    administrators.start_acting(here, acme, actor=OPERATOR)
    session.flush()
    assert here.acting_in_id == acme.id
    actions = session.execute(select(AuditEntry.organization_id, AuditEntry.action)).all()
    assert {(None, "acting.started"), (acme.id, "acting.started")} <= {
        tuple(row) for row in actions
    }
    organizations.delete(acme, actor=OPERATOR)
    session.refresh(here)
    assert here.acting_in_id is None


def test_a_token_name_is_used_once_while_the_token_opens_something(session: Session) -> None:
    acme = create("Acme", "acme")
    row, _ = tokens.create(acme, name="ci", scopes=["send"], actor=OPERATOR)
    with pytest.raises(Invalid, match="token named ci"):
        tokens.create(acme, name="ci", scopes=["read"], actor=OPERATOR)
    tokens.create(None, name="ci", scopes=["read"], actor=OPERATOR)
    tokens.revoke(row, actor=OPERATOR)
    tokens.create(acme, name="ci", scopes=["read"], actor=OPERATOR)
    assert tokens.find(None, row.id) is None and len(tokens.of(acme)) == 2
