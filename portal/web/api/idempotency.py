"""Answering a repeated POST as the first time: Idempotency-Key.

Key, digest of the body and answer are written in the business transaction. The unique key makes a
twin wait until that transaction ends: then it finds the answer, or does the work itself.
"""

import contextlib
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from flask import current_app, request
from sqlalchemy import delete, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from werkzeug.exceptions import BadRequest, Conflict, UnprocessableEntity

from portal import keys
from portal.clock import monotonic, utcnow
from portal.database import LOCK_TIMEOUT
from portal.extensions import db
from portal.identity.models import Organization
from portal.notifications.models import IdempotentAnswer
from portal.settings.scope import Scope
from portal.web import guard
from portal.web.api import documents

# Seconds that a twin waits.
PATIENCE = 10.0
# A reservation without an answer after this time: its process died while a test was running.
_ABANDONED = timedelta(minutes=20)


@dataclass(frozen=True)
class Answer:
    """What a call answers: status, and its JSON, None for no content."""

    status: int
    json: str | None
    replayed: bool = False


def first_answer(organization: Organization | None) -> Answer | None:
    """What a call with this key was answered; None for a new key and for a twin that still runs.
    Reads only. Raises 422 for the key with another body."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    digest = _digest()
    earlier = _earlier(Scope.of(organization).key, _checked(key))
    return _answered(earlier, digest) if earlier is not None else None


def once(organization: Organization | None, act: Callable[[], Answer]) -> Answer:
    """Do it, and commit it with its answer; for a key that was used before, the first answer.

    Raises 409 where the first call does not end in time, 422 for the key with another body. What
    `act` raises is not kept: the next call with this key does the work.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        answer = act()
        db.session.commit()
        return answer
    digest = _digest()
    scope = Scope.of(organization).key
    held = _reserve(scope, _checked(key), digest)
    if isinstance(held, Answer):
        return held
    try:
        answer = act()
        row = db.session.get_one(IdempotentAnswer, held)
        row.status = answer.status
        row.answer = keys.vault().seal(json.dumps(answer.json), context=_context(scope, key))
        db.session.commit()
    except BaseException:
        _release(held)
        raise
    return answer


def _checked(key: str) -> str:
    if not 0 < len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise BadRequest("Idempotency-Key must be 1 to 255 printable ASCII characters.")
    return key


def _digest() -> str:
    """Of the whole call. Keyed, because a body may hold a password."""
    arguments = {k: str(v) for k, v in (request.view_args or {}).items() if k != "organization"}
    # What a host token is shown, a token of the organization must not get by repeating it.
    is_host = guard.principal().actor.is_host
    call = [request.endpoint, arguments, is_host, documents.document()]
    secret = str(current_app.secret_key).encode()
    return hmac.new(secret, json.dumps(call, sort_keys=True).encode(), hashlib.sha256).hexdigest()


def _reserve(scope: str, key: str, digest: str) -> uuid.UUID | Answer:
    """Our reservation's id, or the answer that there is already."""
    deadline = monotonic() + PATIENCE
    while True:
        reserved = _insert(scope, key, digest)
        if reserved is not None:
            return reserved
        earlier = _earlier(scope, key)
        if earlier is not None and (first := _answered(earlier, digest)):
            return first
        if earlier is not None and utcnow() - earlier.created_at > _ABANDONED:
            db.session.delete(earlier)
            db.session.flush()
            continue
        if monotonic() > deadline:
            raise _still_running()
        # No transaction stays open while we wait.
        db.session.rollback()
        time.sleep(0.1)


def _insert(scope: str, key: str, digest: str) -> uuid.UUID | None:
    row = IdempotentAnswer(scope=scope, key=key, digest=digest)
    is_postgresql = db.engine.dialect.name == "postgresql"
    try:
        with db.session.begin_nested():
            if is_postgresql:
                db.session.execute(text(f"SET LOCAL lock_timeout = '{int(PATIENCE * 1000)}ms'"))
            db.session.add(row)
            db.session.flush()
            if is_postgresql:
                db.session.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    except IntegrityError:
        return None
    except OperationalError as problem:
        if isinstance(problem.orig, psycopg.errors.LockNotAvailable):
            raise _still_running() from None
        raise
    return row.id


def _earlier(scope: str, key: str) -> IdempotentAnswer | None:
    return db.session.scalar(
        select(IdempotentAnswer).where(IdempotentAnswer.scope == scope, IdempotentAnswer.key == key)
    )


def _answered(earlier: IdempotentAnswer, digest: str) -> Answer | None:
    """Its answer, if there is one already. Raises 422 for another call."""
    if earlier.digest != digest:
        raise UnprocessableEntity(
            "This Idempotency-Key was used for another call; use a new key for each."
        )
    if earlier.status is None:
        return None
    context = _context(earlier.scope, earlier.key)
    body = json.loads(keys.vault().open(earlier.answer or "", context=context))
    return Answer(earlier.status, body, replayed=True)


def _still_running() -> Conflict:
    return Conflict("The first call with this Idempotency-Key still runs; repeat this one later.")


def _release(reserved: uuid.UUID) -> None:
    """Forget the reservation, also one that the capability committed before it failed.

    With an answer it is none any more: that commit seemed to fail and went through.
    """
    unanswered = (IdempotentAnswer.id == reserved) & IdempotentAnswer.status.is_(None)
    with contextlib.suppress(SQLAlchemyError):
        db.session.rollback()
        db.session.execute(delete(IdempotentAnswer).where(unanswered))
        db.session.commit()


def _context(scope: str, key: str) -> tuple[str, ...]:
    return ("idempotent_answer", scope, key)
