"""Administrators hear 30, 7 and 1 days before a secret or a certificate ends, once each."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine

from portal.audit.log import OPERATOR
from portal.clock import utcnow
from portal.delivery.models import Delivery
from portal.extensions import db
from portal.notifications import credential_expiry
from portal.settings import changes, effective, expiries, senders
from portal.settings.effective import default_sender
from portal.settings.models import SenderVersion, VersionState
from portal.settings.scope import HOST, Scope
from portal.smtp.values import Encryption
from tests.cast import Cast
from tests.portal.records.records import organization_of
from tests.smtp_certificates import authority_pem

DAY = timedelta(days=1)


def version_at_globex(cast: Cast) -> SenderVersion:
    sender = default_sender(Scope.of(organization_of(cast.globex)))
    assert sender is not None
    version = effective.version_of(sender, VersionState.ACTIVE)
    assert version is not None
    version.encryption = Encryption.TLS
    return version


def told() -> list[tuple[str, str]]:
    found = db.session.query(Delivery).filter_by(kind="mail.credential_expiring").all()
    return [(one.recipient, one.payload.data["days_left"]) for one in found]


@pytest.fixture
def end(session: Any, cast: Cast) -> datetime:
    """The end of the certificate of Globex, a year from now."""
    version = version_at_globex(cast)
    version.certificate_expires_at = found = utcnow() + 365 * DAY
    db.session.commit()
    return found


def test_each_threshold_is_told_once_to_who_administers_the_scope(
    session: Any, cast: Cast, end: datetime
) -> None:
    made = []
    for days in (31, 29.5, 29, 8, 6.5, 2, 0.5, -1):
        with time_machine.travel(end - days * DAY, tick=False):
            made.append((credential_expiry.tell(), credential_expiry.tell()))
    assert made == [(0, 0), (1, 0), (0, 0), (0, 0), (1, 0), (0, 0), (1, 0), (0, 0)]
    assert sorted(told()) == [(cast.carol.email, days) for days in ("0", "29", "6")]
    assert all(one.organization_id is None for one in db.session.query(Delivery).all())


def test_a_new_end_is_told_anew(session: Any, cast: Cast, end: datetime) -> None:
    with time_machine.travel(end - 5 * DAY, tick=False):
        assert credential_expiry.tell() == 1
        version_at_globex(cast).certificate_expires_at = end + 2 * DAY
        db.session.commit()
        assert credential_expiry.tell() == 1


def test_without_a_host_sender_it_is_told_when_there_is_one_again(
    session: Any, cast: Cast, end: datetime
) -> None:
    with time_machine.travel(end - 5 * DAY, tick=False):
        changes.save_mail_settings(HOST, {"enabled": False}, actor=OPERATOR)
        db.session.commit()
        assert credential_expiry.tell() == 0
        changes.save_mail_settings(HOST, {"enabled": True}, actor=OPERATOR)
        db.session.commit()
        assert credential_expiry.tell() == 1


def test_a_disabled_sender_is_not_told_of(session: Any, cast: Cast, end: datetime) -> None:
    sender = version_at_globex(cast).sender
    senders.switch(Scope.of(organization_of(cast.globex)), sender, enabled=False, actor=OPERATOR)
    with time_machine.travel(end - DAY, tick=False):
        assert credential_expiry.tell() == 0


def test_the_end_of_an_own_ca_counts_where_it_is_used(session: Any, cast: Cast) -> None:
    version = version_at_globex(cast)
    version.ca = authority_pem()
    (one,) = expiries.of(version)
    assert one.what is expiries.Credential.OWN_CA
    version.encryption = Encryption.NONE
    assert expiries.of(version) == []
