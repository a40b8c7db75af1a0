"""A notification becomes deliveries in the transaction of the business change, or not at all."""

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.audit.log import OPERATOR
from portal.config import Config
from portal.delivery import outbox
from portal.delivery.models import Attempt, Delivery, DeliverySecret, Level, Payload, State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization, OrganizationState
from portal.kinds import BY_KEY
from portal.notifications import alerts, approval_requests
from portal.settings import changes, effective, senders
from portal.settings.models import SenderVersion, VersionState
from portal.settings.scope import HOST, Scope
from portal.validation import Invalid
from tests.cast import Cast
from tests.databases import EngineName
from tests.delivering import ALERT, aim, enqueue, record, take_turns
from tests.smtp_server import SmtpServer

CANARY = "canary-7f3a9d51c2"
STRANGER = Addressee("stranger@elsewhere.test")


def settings(scope: Scope, **values: Any) -> None:
    changes.save_mail_settings(scope, values, actor=OPERATOR)
    db.session.commit()


def rows(model: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_a_rolled_back_alert_leaves_nothing_and_sends_nothing(
    acme: Organization, server: SmtpServer
) -> None:
    raised = alerts.raise_alert(
        acme, alerts.parse_raise(title="Disk full", severity="error"), actor=OPERATOR
    )
    assert raised.deliveries
    db.session.rollback()
    take_turns()

    assert rows(Payload) == rows(Delivery) == rows(DeliverySecret) == 0
    assert server.connections == 0


def test_an_alert_and_its_mail_are_there_after_one_commit(
    acme: Organization, server: SmtpServer, cast: Cast
) -> None:
    said = alerts.parse_raise(title="Disk full", severity="error", recipients=["alice@acme.test"])
    raised = alerts.raise_alert(acme, said, actor=OPERATOR)
    ids = [delivery.id for delivery in raised.deliveries]
    db.session.commit()

    (delivery,) = [record(one) for one in ids]
    assert delivery.state is State.QUEUED
    assert delivery.payload_id == raised.alert.notification_id
    assert (delivery.recipient, delivery.user_id) == (cast.alice.email, cast.alice.id)
    assert server.connections == 0
    take_turns()
    assert [message.recipients for message in server.messages] == [(cast.alice.email,)]


def test_mail_is_queued_where_a_sender_is_at_hand(acme: Organization, cast: Cast) -> None:
    (one,) = enqueue(acme, Addressee(cast.alice.email, cast.alice.id))
    assert (record(one).state, record(one).reason) == (State.QUEUED, None)
    assert record(one).next_attempt_at is not None


def no_default(globex: Organization) -> None:
    settings(Scope.of(globex), default_sender=None)


def default_disabled(globex: Organization) -> None:
    sender = senders.find(Scope.of(globex), "main")
    assert sender
    senders.switch(Scope.of(globex), sender, enabled=False, actor=OPERATOR)
    db.session.commit()


def never_tested(globex: Organization) -> None:
    version = db.session.scalars(
        select(SenderVersion).where(SenderVersion.organization_id == globex.id)
    ).one()
    version.state = VersionState.DRAFT
    db.session.commit()


def suspended(globex: Organization) -> None:
    globex.state = OrganizationState.SUSPENDED
    db.session.commit()


def own_senders_forbidden(globex: Organization) -> None:
    settings(Scope.of(globex), own_senders_allowed=False)


def secret_moved(globex: Organization) -> None:
    scope = Scope.of(globex)
    login = {"authentication": "password", "username": "globex", "encryption": "starttls"}
    sender = senders.find(scope, "main")
    change = senders.Replace("the password")
    senders.save(scope, "main", login, secret=change, actor=OPERATOR, sender=sender, activate=True)
    db.session.flush()
    version = effective.version_of(sender, VersionState.ACTIVE) if sender else None
    assert version
    version.server = "smtp.attacker.test"
    db.session.commit()


@pytest.mark.parametrize(
    ("make_it_so", "reason"),
    [
        (no_default, "not_configured"),
        (default_disabled, "not_configured"),
        (never_tested, "sender_not_active"),
        (suspended, "organization_suspended"),
        (own_senders_forbidden, "own_senders_not_allowed"),
        (secret_moved, "secret_does_not_open"),
    ],
)
def test_mail_is_held_where_no_sender_may_take_it(
    globex: Organization, cast: Cast, server: SmtpServer, make_it_so: Any, reason: str
) -> None:
    make_it_so(globex)
    (one,) = enqueue(globex, Addressee(cast.carol.email, cast.carol.id))

    take_turns()
    assert (record(one).state, record(one).reason) == (State.HELD, reason)
    assert record(one).next_attempt_at is None
    assert server.messages == []


def test_the_hosts_switch_holds_mail_of_those_who_inherit_and_of_nobody_else(
    acme: Organization, globex: Organization, cast: Cast
) -> None:
    settings(HOST, enabled=False)
    (held,) = enqueue(acme, Addressee(cast.alice.email, cast.alice.id))
    (sent,) = enqueue(globex, Addressee(cast.carol.email, cast.carol.id))

    assert (record(held).state, record(held).reason) == (State.HELD, "host_mail_off")
    assert record(sent).state is State.QUEUED


def test_new_mail_is_suppressed_while_mail_is_off(acme: Organization, cast: Cast) -> None:
    settings(Scope.of(acme), mode="off")
    (one,) = enqueue(acme, Addressee(cast.alice.email, cast.alice.id))
    assert (record(one).state, record(one).reason) == (State.SUPPRESSED, "mail_off")


def test_security_mail_leaves_while_the_organization_has_mail_off(
    acme: Organization, server: SmtpServer
) -> None:
    settings(Scope.of(acme), mode="off")
    (one,) = enqueue(
        acme,
        Addressee("eve@acme.test", secrets={"invitation_url": "https://x.test/i/1"}),
        kind="security.invitation",
        data={
            "person_name": "Eve",
            "organization_name": "Acme",
            "role": "member",
            "invited_by": "Alice",
        },
    )
    take_turns()
    assert record(one).state is State.ACCEPTED
    assert record(one).level is Level.HOST
    assert server.messages[0].mail_from == "no-reply@gatepost.test"


def test_an_outside_address_gets_no_mail_by_the_hosts_sender(
    acme: Organization, server: SmtpServer
) -> None:
    (one,) = enqueue(acme, STRANGER)
    take_turns()
    assert (record(one).state, record(one).reason) == (State.SUPPRESSED, "external_recipient")
    assert server.messages == []


def test_an_outside_address_gets_mail_by_the_organizations_own_sender(
    globex: Organization, server: SmtpServer
) -> None:
    (one,) = enqueue(globex, STRANGER)
    take_turns()
    assert record(one).state is State.ACCEPTED
    assert record(one).level is Level.ORGANIZATION
    assert [message.mail_from for message in server.messages] == ["alerts@globex.test"]


def test_mail_to_an_outside_address_does_not_move_to_the_hosts_sender_later(
    globex: Organization, server: SmtpServer
) -> None:
    (one,) = enqueue(globex, STRANGER)
    settings(Scope.of(globex), mode="inherit")
    take_turns()
    assert (record(one).state, record(one).reason) == (State.SUPPRESSED, "external_recipient")
    assert server.messages == []


def test_the_message_id_names_the_domain_of_the_sender_at_enqueue(
    acme: Organization, globex: Organization, cast: Cast, server: SmtpServer
) -> None:
    (ours,) = enqueue(acme, Addressee(cast.alice.email, cast.alice.id))
    (theirs,) = enqueue(globex, STRANGER)
    before = record(theirs).message_id
    aim(Scope.of(globex), "main", server, from_address="other@moved.test")
    take_turns()

    assert record(ours).message_id.endswith("@gatepost.test>")
    assert before.endswith("@globex.test>")
    sent = {message.recipients[0]: message.message["Message-ID"] for message in server.messages}
    assert sent[STRANGER.address] == before


def test_the_message_id_of_held_mail_names_the_host_of_the_base_url(globex: Organization) -> None:
    no_default(globex)
    (one,) = enqueue(globex, STRANGER)
    assert record(one).message_id.endswith("@127.0.0.1>")


def test_each_recipient_gets_the_letter_in_their_own_language(
    globex: Organization, server: SmtpServer
) -> None:
    settings(Scope.of(globex), language="zh")
    ids = enqueue(
        globex,
        Addressee("english@x.test", language="en"),
        Addressee("chinese@x.test", language="zh"),
        Addressee("nothing.said@x.test"),
        Addressee("unknown@x.test", language="tlh"),
    )
    assert [record(one).language for one in ids] == ["en", "zh", "zh", "zh"]
    take_turns()
    subjects = {message.recipients[0]: message.message["Subject"] for message in server.messages}
    assert subjects["english@x.test"] != subjects["chinese@x.test"]
    assert {one.recipient: one.subject for one in map(record, ids)} == subjects


@pytest.mark.parametrize(
    "data",
    [
        {},
        {**ALERT, "title": None},
        {**ALERT, "starts_at": "yesterday"},
        {**ALERT, "title": ["Disk", "full"]},
        {**ALERT, "text": {"html": "<b>"}},
    ],
)
def test_data_that_no_letter_can_hold_is_the_callers_error(
    globex: Organization, data: dict[str, Any]
) -> None:
    with pytest.raises(Invalid) as refused:
        outbox.enqueue(globex, BY_KEY["alert.raised"], data=data, addressees=[STRANGER])
    db.session.rollback()

    assert [error.field for error in refused.value.errors] == ["data"]
    assert rows(Payload) == rows(Delivery) == 0


def test_links_of_an_approval_are_sealed_until_acceptance_and_then_gone(
    acme: Organization, server: SmtpServer
) -> None:
    asked = approval_requests.parse_request(title="Deploy?", approvers=["alice@acme.test"])
    requested = approval_requests.request_approval(acme, asked, actor=OPERATOR)
    (one,) = [delivery.id for delivery in requested.deliveries]
    db.session.commit()

    sealed = db.session.get_one(DeliverySecret, one).sealed
    links = outbox.secrets_of(one)
    assert set(links) == {"approve_url", "reject_url"}
    assert not any(link in sealed for link in links.values())
    take_turns()
    text = server.messages[0].message.get_body(("plain",))
    assert text and links["approve_url"] in text.get_content()
    assert record(one).state is State.ACCEPTED
    assert rows(DeliverySecret) == 0
    assert outbox.secrets_of(one) == {}


def test_sealed_links_do_not_open_in_another_row(globex: Organization) -> None:
    letters = [Addressee(f"{n}@x.test", secrets={"link": f"https://x.test/{n}"}) for n in (1, 2)]
    first, second = enqueue(globex, *letters)
    ours, theirs = (db.session.get_one(DeliverySecret, one) for one in (first, second))
    ours.sealed, theirs.sealed = theirs.sealed, ours.sealed
    db.session.commit()
    take_turns()

    assert (record(first).state, record(first).reason) == (State.HELD, "letter_does_not_open")
    assert db.session.scalars(select(Attempt.cause)).all() == ["letter_does_not_open"] * 2


@pytest.mark.parametrize("engine_name", [EngineName.SQLITE])
def test_no_secret_lies_readable_in_the_database_file_or_its_log(
    app: Flask, globex: Organization, config: Config, server: SmtpServer
) -> None:
    secret = {"link": f"https://x.test/{CANARY}"}
    login = {"authentication": "password", "username": "globex", "encryption": "starttls"}
    aim(Scope.of(globex), "main", server, secret=CANARY, **login)
    enqueue(globex, Addressee("ann@x.test", secrets=secret))
    file = Path(config.database_url.removeprefix("sqlite:///"))
    content = b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))

    assert b"ann@x.test" in content
    assert CANARY.encode() not in content
