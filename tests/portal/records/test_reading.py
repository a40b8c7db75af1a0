"""One record read closely: the letter without secrets, the people, the attempts."""

import pytest
from sqlalchemy.orm import Session, scoped_session

from portal.audit.log import OPERATOR, SYSTEM
from portal.clock import utcnow
from portal.delivery.models import Attempt, AttemptOutcome, Delivery, Level
from portal.extensions import db
from portal.identity.models import Role
from portal.letters.compose import Letter
from portal.notifications import accounts, alerts, approval_requests
from portal.records import attempts, letter_view, people_told, search
from portal.records.letter_view import NotShown
from portal.records.search import Filters
from portal.settings.effective import default_sender
from portal.settings.scope import HOST, Scope
from tests.cast import Cast
from tests.portal.records.records import ids, organization_of, told

Open = scoped_session[Session]


def attempt(delivery: Delivery, number: int = 1, **values: object) -> Attempt:
    """One failed try of the delivery."""
    row = Attempt(
        organization_id=delivery.organization_id,
        delivery_id=delivery.id,
        number=number,
        started_at=utcnow(),
        outcome=AttemptOutcome.DEFERRED,
        **({"server": "127.0.0.1", "ip": "127.0.0.1", "phases": []} | values),
    )
    db.session.add(row)
    db.session.commit()
    return row


def test_the_pages_go_back_as_they_went_on(session: Open, cast: Cast) -> None:
    made = [told(cast.acme, f"Disk {number}")[0].id for number in range(5)]
    acme = organization_of(cast.acme)
    first = search.search(acme, Filters(), limit=2)
    second = search.search(acme, Filters(), limit=2, after=first.next)
    third = search.search(acme, Filters(), limit=2, after=second.next)
    back = search.search(acme, Filters(), limit=2, newer_than=third.newer)
    assert [row.id for row in back.items] == [row.id for row in second.items]
    assert (back.newer, back.next) == (second.newer, second.next)
    home = search.search(acme, Filters(), limit=2, newer_than=back.newer)
    assert ids(home.items) == set(made[3:]) and home.newer is None


def test_links_of_an_approval_are_shown_as_removed(session: Open, cast: Cast) -> None:
    request = approval_requests.parse_request(title="Release?", approvers=[cast.alice.email])
    made = approval_requests.request_approval(organization_of(cast.acme), request, actor=SYSTEM)
    session.commit()
    letter = letter_view.letter_of(made.deliveries[0])
    assert isinstance(letter, Letter)
    for shown in (letter.text, letter.html):
        assert "[link removed]" in shown and "/decide/" not in shown


def test_security_mail_is_never_shown(session: Open, cast: Cast) -> None:
    accounts.invite(
        organization_of(cast.acme),
        email="new@acme.test",
        name="New",
        role=Role.MEMBER,
        actor=OPERATOR,
    )
    session.commit()
    invitation = session.query(Delivery).one()
    assert letter_view.letter_of(invitation) is NotShown.SECURITY


def test_what_makes_no_letter_says_so(session: Open, cast: Cast) -> None:
    delivery = told(cast.acme, "Disk full")[0]
    delivery.payload.data = {"title": None}
    session.commit()
    assert letter_view.letter_of(delivery) is NotShown.BROKEN
    delivery.kind = "removed.kind"
    assert letter_view.letter_of(delivery) is NotShown.BROKEN


def test_the_from_of_a_record_is_that_of_the_version_that_was_used(
    session: Open, cast: Cast
) -> None:
    delivery = told(cast.globex, "Disk full")[0]
    assert letter_view.from_of(delivery) is None
    sender = default_sender(Scope.of(organization_of(cast.globex)))
    assert sender is not None
    delivery.sender_id = sender.id
    attempt(delivery, sender_version=f"{sender.name}/1")
    session.refresh(delivery)
    shown = letter_view.from_of(delivery)
    assert shown is not None and shown.address == "alerts@globex.test"


def test_a_sender_of_another_organization_is_never_shown(session: Open, cast: Cast) -> None:
    delivery = told(cast.acme, "Disk full")[0]
    theirs = default_sender(Scope.of(organization_of(cast.globex)))
    assert theirs is not None
    delivery.sender_id = theirs.id
    attempt(delivery, sender_version="main/1")
    session.refresh(delivery)
    assert letter_view.from_of(delivery) is None


def test_everyone_is_named_with_role_or_reason(session: Open, cast: Cast) -> None:
    said = alerts.parse_raise(
        title="Disk full",
        severity="error",
        recipients=["bob@acme.test", "eve@elsewhere.test", "user:gone@acme.test"],
    )
    raised = alerts.raise_alert(organization_of(cast.acme), said, actor=SYSTEM)
    session.commit()
    found = people_told.everyone(cast.acme.id, raised.alert.notification_id)
    assert {(one.name, one.role, one.delivery.recipient) for one in found.told} == {
        ("Bob Bauer", Role.MEMBER, "bob@acme.test"),
        (None, None, "eve@elsewhere.test"),
    }
    assert [(one.entry, one.reason) for one in found.left_out] == [
        ("gone@acme.test", "not_a_member")
    ]
    assert not found.more
    elsewhere = people_told.everyone(cast.globex.id, raised.alert.notification_id)
    assert elsewhere == people_told.Everyone((), (), False)


def test_a_long_list_of_people_is_cut_and_says_so(session: Open, cast: Cast) -> None:
    delivery = told(cast.acme, "Disk", *(f"p{number}@x.test" for number in range(4)))[0]
    found = people_told.everyone(cast.acme.id, delivery.payload_id, limit=3)
    assert (len(found.told), found.more) == (3, True)


def test_an_attempt_by_the_hosts_server_stays_hidden_after_a_change_of_sender(
    session: Open, cast: Cast
) -> None:
    delivery = told(cast.globex, "Disk full")[0]
    delivery.level, delivery.server = Level.ORGANIZATION, "127.0.0.1"
    attempt(delivery, 1, server="relay.host.test", reply="451 relay.host.test is busy")
    attempt(delivery, 2)
    session.refresh(delivery)
    newest, first = attempts.shown(delivery, at_host=False)
    assert newest.route.server == "127.0.0.1"
    assert (first.route.server, first.route.ip) == (None, None)
    assert "relay.host.test" not in (first.route.reply or "")
    assert attempts.shown(delivery, at_host=True)[1].route.server == "relay.host.test"


@pytest.mark.parametrize(
    ("cause", "phase", "told_cause"),
    [
        ("forbidden_destination", "policy", "unreachable"),
        ("name_not_found", "dns", "unreachable"),
        ("connect_refused", "connect", "unreachable"),
        ("connect_timeout", "connect", "unreachable"),
        ("forbidden_destination", "auth", "token_unavailable"),
        ("token_unavailable", "auth", "token_unavailable"),
    ],
)
def test_an_organization_is_told_one_cause_for_what_cannot_be_reached(
    session: Open, cast: Cast, cause: str, phase: str, told_cause: str
) -> None:
    delivery = told(cast.globex, "Disk full")[0]
    delivery.level, delivery.server = Level.ORGANIZATION, "127.0.0.1"
    phases = [{"phase": phase, "ok": False, "ms": 3}]
    attempt(delivery, cause=cause, phase=phase, ms=3, phases=phases, reply="10.0.0.7 refused")
    session.refresh(delivery)
    (shown,) = attempts.shown(delivery, at_host=False)
    assert (shown.cause, list(shown.phases), shown.route.reply) == (told_cause, [], None)
    assert (shown.phase, shown.ms) == (None, None)
    (full,) = attempts.shown(delivery, at_host=True)
    assert (full.cause, full.phases) == (cause, phases)


def test_the_hosts_own_mail_has_no_owner(session: Open, cast: Cast) -> None:
    delivery = told(cast.acme, "Disk full")[0]
    host = default_sender(HOST)
    assert host is not None
    delivery.organization_id, delivery.sender_id = None, host.id
    attempt(delivery, sender_version=f"{host.name}/1")
    session.refresh(delivery)
    shown = letter_view.from_of(delivery)
    assert shown is not None and shown.address == "no-reply@gatepost.test"
    assert isinstance(letter_view.letter_of(delivery), Letter)
