"""Those who hand in mail, in a process of their own: by the API over HTTP, and by the outbox.

Mail counts as promised once its transaction was committed: after the 202 of the API, or after the
commit of the outbox. What failed is handed in again, by the API under the same Idempotency-Key.
"""

import http.client
import json
import random
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from portal.database import reading_only
from portal.delivery import outbox
from portal.delivery.models import Delivery, Payload
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import BY_KEY
from tests.chaos.processes import Settings, application, context
from tests.chaos.tenants import Tenant
from tests.delivering import ALERT, TEST_MAIL

_Answer = TypeVar("_Answer")
_MOST_AT_ONCE = 10
_AGAIN_AFTER = 0.1
# A busy machine may take its time over a restart of the database; nobody waits who need not.
_PATIENCE = 600.0
# The answers after which a call may be repeated as it was.
_LATER = (409, 429, 503)
_APPROVAL = {
    "text": None,
    "resource_name": None,
    "resource_url": None,
    "requested_by": "ci",
    "expires_at": "2036-11-21T08:00:00+00:00",
}
_LINKS = {"approve_url": "http://127.0.0.1/yes", "reject_url": "http://127.0.0.1/no"}


@dataclass(frozen=True)
class Promise:
    """A delivery that was committed."""

    delivery_id: uuid.UUID
    message_id: str
    recipient: str


class BrokeOff(Exception):
    """Those who hand in mail cannot go on; says why in one sentence."""


class HandingIn:
    """The near side. `ask` returns at once; `promises` grows by what has been committed.

    Both methods raise BrokeOff.
    """

    def __init__(self, pipe: Connection) -> None:
        self.promises: list[Promise] = []
        self._pipe = pipe
        self._asked = 0

    def ask(self, mails: int) -> None:
        try:
            self._pipe.send(mails)
        except OSError:
            raise self._broke_off() from None
        self._asked += mails

    def wait(self, but: int = 0) -> None:
        """Until everything that was asked for has been committed, but for so many."""
        while len(self.promises) < self._asked - but:
            self.promises += self._hear()

    def _hear(self) -> list[Promise]:
        try:
            heard: list[Promise] | str = self._pipe.recv()
        except (EOFError, OSError):
            raise self._broke_off() from None
        if isinstance(heard, str):
            raise BrokeOff(heard)
        return heard

    def _broke_off(self) -> BrokeOff:
        """What they said last may still be there to be read."""
        try:
            while self._pipe.poll():
                if isinstance(heard := self._pipe.recv(), str):
                    return BrokeOff(heard)
                self.promises += heard
        except (EOFError, OSError):
            pass
        return BrokeOff("the process that hands in mail ended without a word")


@contextmanager
def running(
    settings: Settings, tenants: Sequence[Tenant], *, api: str | None, seed: int
) -> Iterator[HandingIn]:
    """`api`: where the portal answers; None: everything goes by the outbox."""
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_serve, args=(settings, tenants, api, seed, theirs), daemon=True
    )
    process.start()
    theirs.close()
    try:
        yield HandingIn(ours)
    finally:
        process.kill()
        process.join()


def _serve(
    settings: Settings, tenants: Sequence[Tenant], api: str | None, seed: int, asked: Connection
) -> None:
    chance = random.Random(seed)
    try:
        with application(settings).app_context():
            while True:
                _hand_in(asked.recv(), tenants, api, chance, asked)
    except EOFError:
        return
    except Exception as problem:  # whatever it is, the near side has to hear of it
        said = " ".join(str(problem).split())[:300]
        asked.send(f"handing in mail ended: {type(problem).__name__}: {said}")


def _hand_in(
    left: int,
    tenants: Sequence[Tenant],
    api: str | None,
    chance: random.Random,
    asked: Connection,
) -> None:
    while left:
        number = min(left, chance.randint(1, _MOST_AT_ONCE))
        tenant = chance.choice(tenants)
        addressees = _addressees(tenant, number, chance)
        if api is not None and chance.random() < 1 / 3:
            ids = _by_api(api, tenant, addressees)
        else:
            ids = _by_outbox(tenant, addressees, chance)
        asked.send(_promises(ids))
        left -= number


def _addressees(tenant: Tenant, number: int, chance: random.Random) -> list[Addressee]:
    if tenant.sends_itself:
        return [Addressee(f"ann{chance.getrandbits(64):x}@x.test") for _ in range(number)]
    chosen = chance.sample(sorted(tenant.people.items()), number)
    return [Addressee(address, user_id) for address, user_id in chosen]


def _by_outbox(
    tenant: Tenant, addressees: Sequence[Addressee], chance: random.Random
) -> list[uuid.UUID]:
    kind = chance.choices(["alert.raised", "approval.requested", "mail.test"], [7, 2, 1])[0]
    said = f"{tenant.slug} {chance.getrandbits(32):x}"
    data: dict[str, dict[str, Any]] = {
        "alert.raised": {**ALERT, "title": said},
        "approval.requested": {**_APPROVAL, "title": said},
        "mail.test": {**TEST_MAIL, "sender_name": said},
    }
    if kind == "approval.requested":
        addressees = [Addressee(one.address, one.user_id, secrets=_LINKS) for one in addressees]

    def hand_in() -> list[uuid.UUID]:
        organization = db.session.get_one(Organization, tenant.id)
        enqueued = outbox.enqueue(
            organization, BY_KEY[kind], data=data[kind], addressees=addressees
        )
        payload_id, ids = enqueued.payload.id, list(enqueued.ids)
        try:
            db.session.commit()
        except SQLAlchemyError:
            if not _was_committed(payload_id):
                raise
        return ids

    return _until_it_holds(hand_in)


def _was_committed(payload_id: uuid.UUID) -> bool:
    """The connection went away at the commit, whose outcome nobody has told."""
    db.session.rollback()
    return _until_it_holds(lambda: db.session.get(Payload, payload_id) is not None)


def _by_api(api: str, tenant: Tenant, addressees: Sequence[Addressee]) -> list[uuid.UUID]:
    said = {
        "title": f"{tenant.slug} by API {uuid.uuid4().hex}",
        "severity": "error",
        "recipients": [f"address:{one.address}" for one in addressees],
    }
    request = urllib.request.Request(
        f"{api}/api/v1/alerts",
        data=json.dumps(said).encode(),
        headers={
            "Authorization": f"Bearer {tenant.token}",
            "Content-Type": "application/json",
            "Idempotency-Key": uuid.uuid4().hex,
        },
    )

    def hand_in() -> list[uuid.UUID]:
        with urllib.request.urlopen(request, timeout=30) as answer:
            answered = json.load(answer)
        return [uuid.UUID(delivery["id"]) for delivery in answered["deliveries"]]

    return _until_it_holds(hand_in)


def _until_it_holds(act: Callable[[], _Answer]) -> _Answer:
    """Again and again, as a careful caller does: the portal may be busy or away."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return act()
        except urllib.error.HTTPError as problem:
            if problem.code not in _LATER:
                raise
            last: Exception = problem
        except (SQLAlchemyError, OSError, http.client.HTTPException) as problem:
            db.session.rollback()
            last = problem
        if time.monotonic() > until:
            raise TimeoutError(
                f"the portal did not come back within {_PATIENCE:.0f} s "
                f"(the last answer: {type(last).__name__})"
            ) from last
        time.sleep(_AGAIN_AFTER)


def _promises(ids: Sequence[uuid.UUID]) -> list[Promise]:
    columns = select(Delivery.id, Delivery.message_id, Delivery.recipient)

    def look() -> list[Promise]:
        db.session.rollback()
        reading_only(True)
        try:
            found = db.session.execute(columns.where(Delivery.id.in_(ids))).all()
            return [Promise(*row) for row in found]
        finally:
            db.session.rollback()
            reading_only(False)

    return _until_it_holds(look)
