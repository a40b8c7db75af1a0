"""A mail that its server refuses for its own sake keeps nobody else's mail."""

import uuid
from datetime import timedelta

import pytest

from portal.clock import utcnow
from portal.delivery import sweeping
from portal.delivery.models import State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings import senders
from portal.settings.models import Sender
from portal.settings.scope import HOST
from tests.cast import Cast
from tests.delivering import all_in, enqueue, hurry, record, take_turns
from tests.smtp_server import SmtpServer, reply

INVITATION = {
    "person_name": "Eve",
    "organization_name": "Acme",
    "role": "member",
    "invited_by": "Alice",
}
DENIED = "554 5.7.1 Relay access denied"


def platform() -> Sender:
    found = senders.find(HOST, "platform")
    assert found
    db.session.refresh(found)
    return found


def invite(organization: Organization, *addresses: str) -> list[uuid.UUID]:
    people = [Addressee(one, secrets={"invitation_url": "https://x.test"}) for one in addresses]
    return enqueue(organization, *people, kind="security.invitation", data=INVITATION)


def later() -> None:
    hurry()
    sweeping.probe_paused_senders()
    take_turns()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (
            "nobody.sendasdenied@evil.test",
            "550 5.1.1 <nobody.sendasdenied@evil.test>: Recipient address rejected: User unknown",
        ),
        ("relay@evil.test", "550 unknown user relay"),
        ("x@relay.test", "550 relay.test: no such domain"),
        ("recipientratelimit@evil.test", "550 no mailbox recipientratelimit"),
    ],
)
def test_a_hostile_address_fails_alone_and_stops_no_sender(
    acme: Organization, cast: Cast, server: SmtpServer, address: str, said: str
) -> None:
    server.set_script(**{f"rcpt:{address}": reply(said)})
    (poison,) = invite(acme, address)
    others = enqueue(
        acme, Addressee(cast.alice.email, cast.alice.id), Addressee(cast.bob.email, cast.bob.id)
    )
    take_turns()
    assert record(poison).state is State.FAILED
    assert all_in(State.ACCEPTED, others)()
    assert platform().next_probe_at is None
    assert platform().failing_since_at is None


def test_an_echoed_text_of_the_mail_fails_alone(acme: Organization, server: SmtpServer) -> None:
    said = "550 5.7.1 not taken: sender identity"
    server.set_script(dot=[reply(said)])
    (poison,) = invite(acme, "sender.identity@x.test")
    take_turns()
    assert (record(poison).state, record(poison).reason) == (State.FAILED, "content_refused")
    assert platform().next_probe_at is None


def test_a_mail_that_failed_as_a_probe_goes_behind_the_others(
    acme: Organization, cast: Cast, server: SmtpServer
) -> None:
    server.set_script(**{"rcpt:ann@x.test": reply(DENIED), "rcpt:eve@x.test": reply(DENIED)})
    (poison,) = invite(acme, "ann@x.test")
    take_turns()
    others = enqueue(
        acme, Addressee(cast.alice.email, cast.alice.id), Addressee(cast.bob.email, cast.bob.id)
    )
    (second,) = invite(acme, "eve@x.test")
    take_turns()
    assert all_in(State.HELD, [poison, second, *others])()

    later()
    assert platform().consecutive_failures == 2
    later()
    assert all_in(State.ACCEPTED, others)()
    # It took others a moment ago: these two are tried again by themselves, and pause nobody.
    assert all_in(State.DEFERRED, [poison, second])()
    assert platform().next_probe_at is None

    (new,) = enqueue(acme, Addressee(cast.alice.email, cast.alice.id))
    later()
    assert record(new).state is State.ACCEPTED
    assert platform().next_probe_at is None


def test_the_mail_of_another_organization_probes_next(
    acme: Organization, globex: Organization, cast: Cast, server: SmtpServer
) -> None:
    addresses = [f"{number}@x.test" for number in range(3)]
    server.set_script(**{f"rcpt:{one}": reply(DENIED) for one in addresses})
    poison = invite(acme, *addresses)
    take_turns()
    (theirs,) = invite(globex, "carol@globex.test")
    take_turns()
    assert all_in(State.HELD, [*poison, theirs])()
    later()
    assert record(theirs).state is State.ACCEPTED
    assert platform().next_probe_at is None


def test_a_probe_whose_recipient_is_refused_shows_that_the_sender_works(
    acme: Organization, cast: Cast, server: SmtpServer
) -> None:
    server.set_script(greeting=[reply("554 5.3.2 not you")])
    (first,) = invite(acme, "nobody.relay@x.test")
    take_turns()
    (other,) = enqueue(acme, Addressee(cast.alice.email, cast.alice.id))
    take_turns()
    assert all_in(State.HELD, [first, other])()
    db.session.get_one(type(record(other)), other).attempt_count = 2
    db.session.commit()

    server.set_script(**{"rcpt:nobody.relay@x.test": reply("550 5.1.1 nobody.relay... unknown")})
    later()
    assert record(first).state is State.FAILED
    assert record(other).state is State.ACCEPTED
    assert platform().next_probe_at is None


def test_a_mail_that_is_refused_again_after_others_went_waits_alone(
    acme: Organization, cast: Cast, server: SmtpServer
) -> None:
    server.set_script(**{"rcpt:ann@x.test": reply("554 5.4.5 sending quota used up")})
    (poison,) = invite(acme, "ann@x.test")
    take_turns()
    (other,) = enqueue(acme, Addressee(cast.alice.email, cast.alice.id))
    take_turns()
    later()
    assert record(other).state is State.ACCEPTED
    assert (record(poison).state, record(poison).reason) == (State.DEFERRED, "quota")
    assert platform().next_probe_at is None


def test_a_relay_that_takes_nothing_any_more_is_paused(
    acme: Organization, cast: Cast, server: SmtpServer
) -> None:
    (sent,) = enqueue(acme, Addressee(cast.alice.email, cast.alice.id))
    take_turns()
    assert record(sent).state is State.ACCEPTED
    server.set_script(rcpt=reply(DENIED))
    (one,) = enqueue(acme, Addressee(cast.bob.email, cast.bob.id))
    take_turns()
    assert record(one).state is State.DEFERRED
    platform().last_success_at = utcnow() - timedelta(minutes=3)
    db.session.commit()
    later()
    assert (record(one).state, record(one).reason) == (State.HELD, "sender_failing")
    later()
    assert platform().consecutive_failures == 2
    server.set_script()
    later()
    assert record(one).state is State.ACCEPTED


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            "550 5.7.26 Unauthenticated email from acme.test is not accepted due to domain's "
            "DMARC policy",
            "sender_unproven",
        ),
        ("554 5.7.1 Message rejected: your IP [203.0.113.9] is on a blocklist", "address_blocked"),
        ("554 5.7.0 Too many messages sent today", "quota"),
    ],
)
def test_a_sender_whose_every_mail_is_refused_after_the_dot_is_paused_and_loses_none(
    acme: Organization, cast: Cast, server: SmtpServer, said: str, cause: str
) -> None:
    server.set_script(dot=reply(said))
    held = enqueue(
        acme, Addressee(cast.alice.email, cast.alice.id), Addressee(cast.bob.email, cast.bob.id)
    )
    take_turns()
    later()
    assert all_in(State.HELD, held)()
    assert platform().next_probe_at is not None
    assert platform().last_failure_cause == cause
    server.set_script()
    later()
    later()
    assert all_in(State.ACCEPTED, held)()
