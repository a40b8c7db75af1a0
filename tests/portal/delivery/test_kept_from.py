"""When another sender takes over, mail keeps the From that was meant where that one may bear it."""

import pytest
from flask import Flask

from portal.audit.log import OPERATOR
from portal.delivery.models import Delivery, Level, State
from portal.extensions import db
from portal.identity.models import Organization
from portal.records import letter_view
from portal.settings import changes, senders
from portal.settings.models import Sender
from portal.settings.scope import HOST, Scope
from tests.cast import Cast
from tests.portal.delivery.test_failover import globex, raise_one, work
from tests.smtp_server import SmtpServer, reply


@pytest.fixture
def session(app: Flask, cast: Cast, session: object) -> object:
    return session


def allow_from(scope: Scope, name: str, *entries: str) -> Sender:
    found = senders.find(scope, name)
    assert found is not None
    change = {"allowed_from": list(entries)}
    senders.save(
        scope, name, change, secret=senders.Keep(), actor=OPERATOR, sender=found, activate=True
    )
    db.session.commit()
    return found


def sent_as(delivery: Delivery) -> tuple[str, str] | None:
    found = letter_view.from_of(delivery)
    return (found.name, found.address) if found else None


def sent(organization: Organization) -> Delivery:
    delivery = raise_one(organization)
    work()
    assert delivery.state is State.ACCEPTED
    return delivery


def test_mail_keeps_its_from_where_the_sender_that_takes_over_may_bear_it(session: object) -> None:
    with SmtpServer() as broken, SmtpServer() as healthy:
        broken.set_script(greeting=reply("554 closed"))
        organization = globex({"main": broken, "second": healthy})
        scope = Scope.of(organization)
        first = sent(organization)
        assert sent_as(first) == ("second sender", "second@globex.test")

        allow_from(scope, "second", "main@globex.test")
        kept = sent(organization)
        assert kept.sender == "second"
        received = healthy.messages[-1]
        assert received.message["From"] == "main sender <main@globex.test>"
        assert received.mail_from == "second@globex.test", "bounces go to whoever carried it"
        assert sent_as(kept) == ("main sender", "main@globex.test")
        assert sent_as(first) == ("second sender", "second@globex.test")

        allow_from(scope, "second", "other.test")
        assert sent_as(sent(organization)) == ("second sender", "second@globex.test")

        main = senders.find(scope, "main")
        assert main is not None
        senders.delete(scope, main, actor=OPERATOR)
        db.session.commit()
        assert sent_as(kept) is None, "nobody remembers that address"


def test_a_kind_keeps_the_from_of_the_sender_that_it_names(session: object) -> None:
    with SmtpServer() as healthy, SmtpServer() as broken:
        broken.set_script(greeting=reply("554 closed"))
        organization = globex({"main": healthy, "alerts": broken})
        scope = Scope.of(organization)
        alerts = senders.find(scope, "alerts")
        senders.save(
            scope,
            "alerts",
            {"kinds": ["alert"]},
            secret=senders.Keep(),
            actor=OPERATOR,
            sender=alerts,
            activate=True,
        )
        allow_from(scope, "main", "@globex.test")
        delivery = sent(organization)
        assert [attempt.sender for attempt in delivery.attempts] == ["alerts", "main"]
        assert healthy.messages[0].message["From"] == "alerts sender <alerts@globex.test>"


def test_the_host_never_bears_an_organizations_address(session: object) -> None:
    with SmtpServer() as broken, SmtpServer() as platform:
        broken.set_script(greeting=reply("554 closed"))
        organization = globex({"main": broken})
        host = allow_from(HOST, "platform", "@globex.test")
        senders.save(
            HOST,
            "platform",
            {"server": platform.host, "port": platform.port},
            secret=senders.Keep(),
            actor=OPERATOR,
            sender=host,
            activate=True,
        )
        changes.save_mail_settings(Scope.of(organization), {"fallback": True}, actor=OPERATOR)
        db.session.commit()
        delivery = sent(organization)
        assert delivery.level is Level.FALLBACK
        assert "globex.test" not in platform.messages[0].message["From"]
