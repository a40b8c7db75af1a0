"""Storing a refresh token that a token endpoint put in place of an older one (RFC 6749, 6).

Called while a session is being opened, when no transaction is open: each write is a short one of
its own. The old token may be worth nothing from now on, so it is tried again for a while.
"""

import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from portal import logs
from portal.clock import monotonic
from portal.extensions import db
from portal.settings import rotation
from portal.settings.candidates import Candidate
from portal.settings.effective import Resolved
from portal.settings.scope import Scope
from portal.vault import VaultError

_log = logs.logger("delivery")
# Seconds; then this process alone knows the token, and the next one is stored.
_STORE_WITHIN = 10.0
_STORE_AGAIN = 0.5

Rotated = Callable[[str], None]


def of_sender(resolved: Resolved) -> Rotated | None:
    """For a stored bundle; None where it has no refresh token."""
    version_id, old = resolved.version_id, resolved.bundle.refresh_token
    if old is None:
        return None
    return lambda new: _stored(lambda: rotation.store(version_id, old, new))


def of_candidate(scope: Scope, checked: Candidate) -> Rotated | None:
    """For values that are tested, whether their refresh token is stored or was just typed."""
    values, given = checked.values, checked.given_token
    version_id, old = checked.stored_in, checked.refresh_token
    if old is None or given is None:
        return None
    if version_id is not None:
        return lambda new: _stored(lambda: rotation.store(version_id, old, new))
    return lambda new: _stored(lambda: rotation.note(scope, values, given, new))


def _stored(write: Callable[[], None]) -> None:
    patience = monotonic() + _STORE_WITHIN
    while True:
        try:
            write()
            db.session.commit()
            return
        except VaultError:
            db.session.rollback()
            _log.error("refresh token not stored: the stored one does not open")
            return
        except SQLAlchemyError as problem:
            db.session.rollback()
            if monotonic() > patience:
                _log.error("refresh token not stored", kind=type(problem).__name__)
                return
            time.sleep(_STORE_AGAIN)
