"""Invitations: nobody belongs before they accepted, and a link opens what it was made for."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal import clock
from portal.audit.log import OPERATOR
from portal.audit.models import AuditEntry
from portal.identity import invitations, links, members, organizations, users
from portal.identity.invitations import Invitation
from portal.identity.links import LinkRefused, LinkState
from portal.identity.models import LinkPurpose, Organization, Role, User
from portal.validation import Invalid

PASSWORD = "four walls and a roof"


@pytest.fixture
def acme(session: Session) -> Organization:
    return organizations.create(name="Acme", short_name="acme", actor=OPERATOR)


def invite(
    organization: Organization,
    email: str = "ann@acme.test",
    role: Role = Role.MEMBER,
    *,
    name: str = "Ann",
) -> Invitation:
    return invitations.invite(organization, email=email, name=name, role=role, actor=OPERATOR)


def invite_in_vain(organization: Organization) -> Invalid:
    with pytest.raises(Invalid) as refused:
        invite(organization)
    return refused.value


def withdraw(invitation: Invitation) -> None:
    invitations.withdraw(invitation.link, actor=OPERATOR)


def test_an_invited_person_belongs_only_after_accepting(acme: Organization) -> None:
    invitation = invite(acme, role=Role.ADMINISTRATOR)
    assert members.membership_of(acme, invitation.user) is None
    link = links.find(LinkPurpose.INVITATION, invitation.token)
    assert invitations.needs_account(link)
    user = invitations.accept_as_new(link, name="Ann Lee", password=PASSWORD, ip=None)
    member = members.membership_of(acme, user)
    assert member is not None and member.role is Role.ADMINISTRATOR
    assert user.name == "Ann Lee" and user.verified_at is not None


def test_an_invited_person_cannot_sign_in_before(acme: Organization, session: Session) -> None:
    invite(acme)
    session.commit()
    assert users.authenticate("ann@acme.test", "") is None


def test_a_person_with_an_account_keeps_name_and_password(acme: Organization) -> None:
    ann = users.create(email="ann@acme.test", name="Ann Old", password=PASSWORD, actor=OPERATOR)
    invitation = invite(acme)
    assert invitation.user is ann and not invitations.needs_account(invitation.link)
    invitations.accept(invitation.link, ip=None)
    assert members.membership_of(acme, ann) is not None and ann.name == "Ann Old"


def test_an_invitation_is_accepted_once(acme: Organization) -> None:
    invitation = invite(acme)
    invitations.accept_as_new(invitation.link, name="Ann", password=PASSWORD, ip=None)
    with pytest.raises(LinkRefused) as refused:
        invitations.accept(invitation.link, ip=None)
    assert refused.value.state is LinkState.USED


def test_a_second_invitation_of_the_same_person_is_refused_and_says_why(
    acme: Organization,
) -> None:
    invite(acme)
    with pytest.raises(Invalid, match="invited already"):
        invite(acme, email="ANN@acme.test")
    assert len(invitations.pending(acme)) == 1


def test_a_member_is_not_invited_again(acme: Organization) -> None:
    ann = users.create(email="ann@acme.test", name="Ann", actor=OPERATOR)
    members.add(acme, ann, role=Role.MEMBER, actor=OPERATOR)
    with pytest.raises(Invalid, match="member already"):
        invite(acme)


def test_an_invitation_that_ran_out_is_replaced(acme: Organization) -> None:
    old = invite(acme)
    with time_machine.travel(clock.utcnow() + timedelta(hours=49)):
        new = invite(acme, role=Role.ADMINISTRATOR)
        assert links.find(LinkPurpose.INVITATION, new.token).role is Role.ADMINISTRATOR
        assert len(invitations.pending(acme)) == 1
    with pytest.raises(LinkRefused):
        links.find(LinkPurpose.INVITATION, old.token)


def test_mailing_again_ends_the_earlier_link_and_waits_a_minute(acme: Organization) -> None:
    first = invite(acme)
    with pytest.raises(Invalid, match="less than a minute"):
        invitations.resend(first.link, actor=OPERATOR)
    with time_machine.travel(clock.utcnow() + timedelta(minutes=2)):
        second = invitations.resend(first.link, actor=OPERATOR)
        assert links.find(LinkPurpose.INVITATION, second.token)
        with pytest.raises(LinkRefused):
            links.find(LinkPurpose.INVITATION, first.token)


def test_a_withdrawn_invitation_opens_nothing(acme: Organization) -> None:
    invitation = invite(acme)
    invitations.withdraw(invitation.link, actor=OPERATOR)
    assert invitations.pending(acme) == []
    with pytest.raises(LinkRefused):
        links.find(LinkPurpose.INVITATION, invitation.token)


def test_an_organization_finds_only_its_own_invitations(acme: Organization) -> None:
    globex = organizations.create(name="Globex", short_name="globex", actor=OPERATOR)
    invitation = invite(globex)
    assert invitations.find(acme, invitation.link.id) is None
    assert invitations.find(None, invitation.link.id) is None


def test_the_same_address_is_one_person_in_two_organizations(
    acme: Organization, session: Session
) -> None:
    globex = organizations.create(name="Globex", short_name="globex", actor=OPERATOR)
    first, second = invite(acme), invite(globex)
    assert first.user is second.user
    invitations.accept_as_new(first.link, name="Ann", password=PASSWORD, ip=None)
    assert not invitations.needs_account(second.link)
    assert links.find(LinkPurpose.INVITATION, second.token)


def test_a_host_invitation_makes_a_system_administrator_on_acceptance(session: Session) -> None:
    invitation = invitations.invite_to_host(email="ann@a.test", name="Ann", actor=OPERATOR)
    assert not invitation.user.is_system_administrator
    user = invitations.accept_as_new(invitation.link, name="Ann", password=PASSWORD, ip=None)
    assert user.is_system_administrator


def test_a_flood_of_invitations_is_stopped(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations, "MAILS_A_DAY", 2)
    for number in range(2):
        invite(acme, email=f"p{number}@acme.test")
    with pytest.raises(Invalid, match="2 invitations within a day"):
        invite(acme)


def test_one_address_is_not_mailed_for_ever_however_often_invitations_are_withdrawn(
    acme: Organization,
) -> None:
    """Three an hour and four a day of one organization, five a day of all together."""
    globex = organizations.create(name="Globex", short_name="globex", actor=OPERATOR)
    began = clock.utcnow()
    for _ in range(3):
        withdraw(invite(acme))
    (error,) = invite_in_vain(acme).errors
    assert error.field == "email"
    assert f"Try again after {began + timedelta(hours=1, minutes=1):%Y-%m-%d %H:}" in error.message
    invite(acme, "bob@acme.test")
    with time_machine.travel(began + timedelta(hours=1, seconds=30)):
        fourth = invite(acme)
    with time_machine.travel(began + timedelta(hours=3)):
        with pytest.raises(Invalid, match="Try again after") as again:
            invitations.resend(fourth.link, actor=OPERATOR)
        assert again.value.errors[0].field == "invitation"
        withdraw(invite(globex))
        assert invite_in_vain(globex).errors[0].field == "email"
    with time_machine.travel(began + timedelta(days=1, minutes=1)):
        invite(globex)


def test_a_name_counts_for_one_invitation_alone(acme: Organization, session: Session) -> None:
    globex = organizations.create(name="Globex", short_name="globex", actor=OPERATOR)
    withdraw(invite(acme, "v.good@acme.test", name="Villain Bad"))
    own = invite(globex, "v.good@acme.test", name="Victor Good")
    assert own.link.name == "Victor Good" and own.user.name == "v good"
    user = invitations.accept_as_new(own.link, name="Victor", password=PASSWORD, ip=None)
    assert user.name == "Victor"


def test_inviting_is_audited_with_ids_and_not_with_addresses(
    acme: Organization, session: Session
) -> None:
    invite(acme)
    session.flush()
    wanted = select(AuditEntry).where(AuditEntry.action == "invitation.sent")
    entry = session.scalars(wanted).one()
    assert entry.organization_id == acme.id and "ann@" not in str(vars(entry))


def test_a_name_that_hides_an_address_is_refused_and_makes_nobody(
    acme: Organization, session: Session
) -> None:
    with pytest.raises(Invalid) as problem:
        invitations.invite(
            acme, email="ann@acme.test", name="x <a@b.test>", role=Role.MEMBER, actor=OPERATOR
        )
    assert problem.value.errors[0].field == "name"
    assert session.scalar(select(func.count()).select_from(User)) == 0
