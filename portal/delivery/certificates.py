"""Noting the end of a server's certificate whenever a session is opened, so that its warning knows
of a renewal, and of a certificate that ends sooner than the one that a test saw.

Called in the thread that opened the session, when no transaction is open there.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.exc import SQLAlchemyError

from portal import logs
from portal.database import reading_only
from portal.extensions import db
from portal.settings.effective import Resolved
from portal.settings.models import SenderVersion
from portal.smtp.trust import Tls

_log = logs.logger("delivery")


def note(resolved: Resolved, tls: Tls | None) -> None:
    """Store the end on the version that sends where it is another one. Never raises: the next
    session tells the same again."""
    if tls is None or tls.not_after is None:
        return
    mine = SenderVersion.id == resolved.version_id
    try:
        if _stored(mine) == tls.not_after:
            return
        ends = update(SenderVersion).where(mine).values(certificate_expires_at=tls.not_after)
        db.session.execute(ends)
        db.session.commit()
    except SQLAlchemyError as problem:
        db.session.rollback()
        _log.warning("end of a certificate not stored", kind=type(problem).__name__)


def _stored(mine: ColumnElement[bool]) -> datetime | None:
    reading_only(True)
    try:
        return db.session.scalar(select(SenderVersion.certificate_expires_at).where(mine))
    finally:
        db.session.rollback()
        reading_only(False)
