"""Sending itself notes until when a server's certificate is good."""

from datetime import datetime, timedelta

from sqlalchemy import event

from portal.clock import utcnow
from portal.delivery.models import State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings import effective
from portal.settings.models import VersionState
from portal.settings.scope import HOST
from tests.cast import Cast
from tests.delivering import aim, enqueue, record, take_turns
from tests.smtp_certificates import authority_pem
from tests.smtp_server import SmtpServer


def noted() -> datetime | None:
    """The end that is noted at the version of the host's sender that sends."""
    db.session.rollback()
    sender = effective.default_sender(HOST)
    assert sender is not None
    db.session.refresh(sender)
    version = effective.version_of(sender, VersionState.ACTIVE)
    assert version is not None
    db.session.refresh(version)
    return version.certificate_expires_at


def note(end: datetime) -> None:
    sender = effective.default_sender(HOST)
    assert sender is not None
    version = effective.version_of(sender, VersionState.ACTIVE)
    assert version is not None
    version.certificate_expires_at = end
    db.session.commit()


def test_each_new_session_notes_the_end_of_the_certificate_where_it_is_another_one(
    acme: Organization, cast: Cast
) -> None:
    writes: list[str] = []

    def watch(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE sender_versions"):
            writes.append(statement)

    event.listen(db.engine, "before_cursor_execute", watch)
    to = Addressee(cast.alice.email, cast.alice.id)
    with SmtpServer(tls="starttls") as server:
        aim(HOST, "platform", server, encryption="starttls", ca=authority_pem())
        assert noted() is None
        for before in (None, utcnow() + timedelta(days=3), utcnow() + timedelta(days=9999)):
            if before is not None:
                note(before)
            (mail,) = enqueue(acme, to)
            take_turns()
            assert record(mail).state is State.ACCEPTED
            end = noted()
            assert end is not None and end != before and end > utcnow()
        writes.clear()
        enqueue(acme, to)
        take_turns()
    assert noted() == end
    assert writes == []
