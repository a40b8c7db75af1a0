"""Telling a sender's administrators before a secret or a certificate of it ends.

The sender's row says what was told: of each credential its end, and at how many days before. A
new end starts anew, and a run that is lost or done twice changes nothing.
"""

import math

from sqlalchemy import or_, select

from portal.clock import utcnow
from portal.extensions import db
from portal.notifications import sender_health
from portal.settings import expiries
from portal.settings.expiries import Expiry
from portal.settings.models import Sender, SenderVersion, VersionState

# Days before the end, the last first.
_TOLD_AT = (1, 7, 30)
_KIND = "mail.credential_expiring"


def tell() -> int:
    """Tell of every end that came near, and commit. Returns how many mails that made."""
    some_end = or_(
        SenderVersion.client_secret_expires_at.is_not(None),
        SenderVersion.certificate_expires_at.is_not(None),
        SenderVersion.ca.is_not(None),
    )
    found = db.session.execute(
        select(Sender, SenderVersion)
        .join(SenderVersion, SenderVersion.sender_id == Sender.id)
        .where(Sender.enabled, SenderVersion.state == VersionState.ACTIVE, some_end)
        .order_by(Sender.id)
        .with_for_update(of=Sender, skip_locked=True)
    ).all()
    told = sum(_tell(sender, version, one) for sender, version in found for one in _of(version))
    db.session.commit()
    return told


def _of(version: SenderVersion) -> list[Expiry]:
    return [one for one in expiries.of(version) if _threshold(one) is not None]


def _threshold(one: Expiry) -> int | None:
    """The smallest of the days before that has come; the last one also after the end."""
    left = math.ceil((one.at - utcnow()).total_seconds() / 86_400)
    return next((days for days in _TOLD_AT if left <= days), None)


def _tell(sender: Sender, version: SenderVersion, one: Expiry) -> bool:
    mark = f"{one.at.isoformat()} {_threshold(one)}"
    if sender.expiries_told.get(one.what) == mark:
        return False
    words = {
        "credential": one.what.value,
        "expires_at": one.at.isoformat(),
        "days_left": str(max(0, one.days_left)),
        "tested_at": version.tested_at.isoformat() if version.tested_at else None,
    }
    if not sender_health.tell_administrators(_KIND, sender, words):
        return False
    sender.expiries_told = {**sender.expiries_told, one.what.value: mark}
    return True
