"""People: what they may be called, how they sign in, and what they change about themselves."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.audit.log import OPERATOR, Actor, ActorType
from portal.audit.models import AuditEntry
from portal.identity import links, sessions, users
from portal.identity.links import LinkRefused
from portal.identity.models import LinkPurpose, SignInSession, User
from portal.validation import Invalid

PASSWORD = "four walls and a roof"
NEW = "nine rivers under one bridge"


def ann(email: str = "ann@acme.test", name: str = "Ann Lee") -> User:
    return users.create(email=email, name=name, password=PASSWORD, actor=OPERATOR)


def refused(**values: str) -> str:
    with pytest.raises(Invalid) as problem:
        users.create(
            **({"email": "ann@acme.test", "name": "Ann", "password": PASSWORD} | values),
            actor=OPERATOR,
        )
    return problem.value.errors[0].field


@pytest.mark.parametrize(
    "name",
    [
        "Ann\r\nBcc: all@acme.test",
        "Ann\u2028Lee",
        "ceo@acme.test",
        "Ann <ceo@acme.test>",
        "",
        "   ",
        "a" * 201,
    ],
)
def test_a_name_that_could_become_a_header_or_an_address_is_refused(
    session: Session, name: str
) -> None:
    assert refused(name=name) == "name"


@pytest.mark.parametrize("email", ["", "ann", "ann@acme.test\r\nBcc: b@b.test", "a\x00@acme.test"])
def test_what_is_no_address_is_refused(session: Session, email: str) -> None:
    assert refused(email=email) == "email"


@pytest.mark.parametrize(
    "password", ["short", "password12345", "aaaaaaaaaaaaaa", "ann@acme.test1", "x" * 201]
)
def test_a_password_that_is_short_common_or_ones_own_name_is_refused(
    session: Session, password: str
) -> None:
    assert refused(password=password) == "password"


def test_an_address_has_one_account_in_whatever_case(session: Session) -> None:
    ann("Ann@Acme.Test")
    assert refused(email="ANN@acme.test") == "email"
    assert session.scalar(select(func.count()).select_from(User)) == 1


def test_a_person_signs_in_with_the_address_in_any_case(session: Session) -> None:
    made = ann().id
    session.commit()
    found = users.authenticate(" ANN@acme.test ", PASSWORD)
    assert found is not None and found.id == made


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ann@acme.test", "not the password"),
        ("bob@acme.test", PASSWORD),
        ("new@acme.test", ""),
        ("\x00", PASSWORD),
    ],
)
def test_nobody_else_signs_in(session: Session, email: str, password: str) -> None:
    ann()
    session.add(User(email="new@acme.test", name="Invited, without a password"))
    session.commit()
    assert users.authenticate(email, password) is None


def test_recovery_sets_the_password_and_ends_every_session(session: Session) -> None:
    person = ann()
    sessions.start(person, ip=None, user_agent=None)
    link, _ = links.create(LinkPurpose.RECOVERY, user=person)
    users.recover(link, password=NEW, ip=None)
    session.commit()
    assert users.authenticate("ann@acme.test", NEW)
    assert not users.authenticate("ann@acme.test", PASSWORD)
    assert not session.scalars(select(SignInSession)).all()


def test_a_refused_new_password_leaves_the_link_unused(session: Session) -> None:
    link, token = links.create(LinkPurpose.RECOVERY, user=ann())
    with pytest.raises(Invalid):
        users.recover(link, password="short", ip=None)
    assert links.find(LinkPurpose.RECOVERY, token) is link


def test_changing_the_password_keeps_only_the_session_that_did_it(session: Session) -> None:
    person = ann()
    here = sessions.start(person, ip=None, user_agent="here").session
    sessions.start(person, ip=None, user_agent="elsewhere")
    users.change_password(person, new=NEW, session=here, ip=None)
    assert [row.user_agent for row in sessions.of(person.id)] == ["here"]


def test_a_change_of_profile_is_audited_without_the_name(session: Session) -> None:
    person = ann()
    actor = Actor(ActorType.USER, str(person.id), None, person.name)
    users.change_profile(
        person, name="Ann Miller", language="zh", timezone="Asia/Shanghai", actor=actor
    )
    session.flush()
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "user.changed")).one()
    assert entry.changes["language"] == {"before": None, "after": "zh"}
    assert "name" in entry.changes and "Miller" not in str(entry.changes)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "a@b.test"}, "name"),
        ({"language": "fr"}, "language"),
        ({"timezone": "../etc/passwd"}, "timezone"),
    ],
)
def test_a_wrong_profile_changes_nothing(
    session: Session, values: dict[str, str], field: str
) -> None:
    person = ann()
    right = {"name": "New", "language": "en", "timezone": "UTC"}
    with pytest.raises(Invalid) as problem:
        users.change_profile(person, **(right | values), actor=OPERATOR)
    assert problem.value.errors[0].field == field and person.name == "Ann Lee"


def test_the_first_account_is_made_once(session: Session) -> None:
    token = links.create_setup_link()
    link = links.find(LinkPurpose.SETUP, token)
    root = users.set_up(link, name="Root", email="root@a.test", password=PASSWORD, ip=None)
    assert root.is_system_administrator
    with pytest.raises(LinkRefused):
        users.set_up(link, name="Eve", email="eve@a.test", password=PASSWORD, ip=None)
