"""Mail about accounts leaves through the product, with links to the configured address alone."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.audit.log import OPERATOR, Actor, ActorType
from portal.clock import utcnow
from portal.delivery import outbox
from portal.delivery.models import Delivery, DeliverySecret, Payload
from portal.identity import invitations, links, members, organizations, users
from portal.identity.links import LinkRefused
from portal.identity.models import AccountLink, LinkPurpose, Organization, Role, User
from portal.identity.throttle import Throttled
from portal.notifications import accounts
from portal.settings import effective
from portal.validation import Invalid

PASSWORD = "four walls and a roof"
BASE = "http://127.0.0.1:8000"


@pytest.fixture
def acme(session: Session) -> Organization:
    return organizations.create(name="Acme", short_name="acme", actor=OPERATOR)


@pytest.fixture
def ann(session: Session) -> User:
    return users.create(
        email="ann@acme.test", name="Ann", password=PASSWORD, actor=OPERATOR, language="zh"
    )


def count(session: Session, model: type) -> int:
    return session.scalar(select(func.count()).select_from(model)) or 0


def test_an_invitation_is_a_mail_of_the_organization_with_a_sealed_link(
    acme: Organization, session: Session
) -> None:
    invitation = accounts.invite(
        acme, email="bob@acme.test", name="Bob", role=Role.MEMBER, actor=OPERATOR
    )
    session.commit()
    delivery = session.scalars(select(Delivery)).one()
    assert (delivery.kind, delivery.recipient) == ("security.invitation", "bob@acme.test")
    assert delivery.organization_id == acme.id and delivery.expires_at == invitation.link.expires_at
    url = outbox.secrets_of(delivery.id)["invitation_url"]
    assert url == f"{BASE}/invitation/{invitation.token}"
    payload = session.get(Payload, delivery.payload_id)
    assert payload is not None and invitation.token not in str(payload.data)
    assert payload.data["organization_name"] == "Acme" and payload.data["role"] == "member"


def test_an_invitation_greets_as_it_was_written_and_never_as_another_one_was(
    acme: Organization, session: Session
) -> None:
    globex, other = (
        organizations.create(name=name, short_name=name, actor=OPERATOR)
        for name in ("globex", "other")
    )
    spoof = Actor(ActorType.USER, None, None, "Bank, see evil.test")
    address = "victor@acme.test"
    first = accounts.invite(acme, email=address, name="Bad", role=Role.MEMBER, actor=spoof)
    invitations.withdraw(first.link, actor=OPERATOR)
    accounts.invite(globex, email=address, name="Victor Good", role=Role.MEMBER, actor=OPERATOR)
    session.commit()
    one, two = (payload.data for payload in session.scalars(select(Payload).order_by(Payload.id)))
    assert (one["person_name"], one["invited_by"]) == ("Bad", None)
    assert two["person_name"] == "Victor Good"
    first.user.verified_at, first.user.name = utcnow(), "Victor Real"
    accounts.invite(other, email=address, name="X", role=Role.MEMBER, actor=OPERATOR)
    session.commit()
    latest = session.scalars(select(Payload).order_by(Payload.id.desc()).limit(1)).one()
    assert latest.data["person_name"] == "Victor Real"


def test_a_recovery_mail_holds_a_link_that_sets_the_password(ann: User, session: Session) -> None:
    accounts.ask_recovery("Ann@acme.test", ip="192.0.2.1")
    session.commit()
    delivery = session.scalars(select(Delivery)).one()
    assert (delivery.kind, delivery.user_id, delivery.language) == (
        "security.password_recovery",
        ann.id,
        "zh",
    )
    assert delivery.organization_id is None and delivery.requested_from == "192.0.2.1"
    url = outbox.secrets_of(delivery.id)["recovery_url"]
    assert url.startswith(f"{BASE}/recovery/")
    assert links.find(LinkPurpose.RECOVERY, url.rpartition("/")[2]).user is ann


@pytest.mark.parametrize("email", ["nobody@acme.test", "invited@acme.test"])
def test_who_has_no_account_gets_no_mail_and_the_same_answer(
    ann: User, session: Session, email: str
) -> None:
    session.add(User(email="invited@acme.test", name="Invited, without a password"))
    session.commit()
    accounts.ask_recovery(email, ip="192.0.2.1")
    session.commit()
    for model in (Delivery, Payload, DeliverySecret, AccountLink):
        assert count(session, model) == 0


def test_who_was_created_without_a_password_gets_one_by_recovery(session: Session) -> None:
    users.create(email="bob@acme.test", name="Bob", actor=OPERATOR)
    accounts.ask_recovery("bob@acme.test", ip=None)
    assert count(session, Delivery) == 1


def test_a_fourth_recovery_within_an_hour_sends_nothing(ann: User, session: Session) -> None:
    for _ in range(5):
        accounts.ask_recovery("ann@acme.test", ip="192.0.2.1")
        session.commit()
    assert count(session, Delivery) == 3


def test_one_address_cannot_ask_for_ever(session: Session) -> None:
    for number in range(20):
        accounts.ask_recovery(f"p{number}@acme.test", ip="192.0.2.1")
    with pytest.raises(Throttled):
        accounts.ask_recovery("ann@acme.test", ip="192.0.2.1")


@pytest.mark.parametrize("email", ["", "ann", "ann@acme.test\r\nBcc: b@b.test"])
def test_what_is_no_address_is_refused(session: Session, email: str) -> None:
    with pytest.raises(Invalid):
        accounts.ask_recovery(email, ip=None)


def test_set_up_makes_the_administrator_and_names_the_platform(session: Session) -> None:
    token = links.create_setup_link()
    rita = accounts.set_up(
        token,
        name="Rita",
        email="rita@a.test",
        password=PASSWORD,
        platform="Acme Cloud",
        ip=None,
    )
    session.commit()
    assert rita.is_system_administrator and effective.platform_name() == "Acme Cloud"
    with pytest.raises(LinkRefused):
        accounts.set_up(
            token, name="Eve", email="e@a.test", password=PASSWORD, platform="Eve", ip=None
        )


def test_a_new_organization_gets_an_administrator_who_has_an_account_at_once(
    ann: User, session: Session
) -> None:
    made, invitation = accounts.create_organization(
        name="Globex",
        short_name="globex",
        administrator_email="ANN@acme.test",
        administrator_name="",
        actor=OPERATOR,
    )
    session.commit()
    assert invitation is None and members.administrators(made) == [ann]
    assert count(session, Delivery) == 0


def test_a_new_organization_invites_an_administrator_who_is_new(session: Session) -> None:
    made, invitation = accounts.create_organization(
        name="Globex",
        short_name="globex",
        administrator_email="carol@globex.test",
        administrator_name="Carol",
        actor=OPERATOR,
    )
    assert invitation is not None and members.administrators(made) == []
    assert count(session, Delivery) == 1


def test_what_is_wrong_about_the_first_administrator_names_its_field(session: Session) -> None:
    with pytest.raises(Invalid) as problem:
        accounts.create_organization(
            name="Globex",
            short_name="globex",
            administrator_email="carol@globex.test",
            administrator_name="",
            actor=OPERATOR,
        )
    assert problem.value.errors[0].field == "administrator_name"


def test_a_person_with_an_account_becomes_system_administrator_at_once(
    ann: User, session: Session
) -> None:
    assert accounts.add_system_administrator(email=ann.email, name="x", actor=OPERATOR) is None
    assert ann.is_system_administrator and count(session, Delivery) == 0
    with pytest.raises(Invalid, match="already"):
        accounts.add_system_administrator(email=ann.email, name="x", actor=OPERATOR)


def test_a_new_system_administrator_is_invited_by_mail_of_the_host(session: Session) -> None:
    assert accounts.add_system_administrator(email="n@a.test", name="New", actor=OPERATOR)
    delivery = session.scalars(select(Delivery)).one()
    assert delivery.organization_id is None and delivery.kind == "security.invitation"
