"""How much may go: the rates of a sender make mail wait, the caps of the host's sender stop it.

Each limit is a counter of constant size in a row of its own; nothing is ever counted in the
records. The counters are taken in the transaction that counts the attempt.
"""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from portal.clock import utcnow
from portal.delivery.models import SendCount
from portal.delivery.ways import Ways
from portal.delivery.windows import Window
from portal.extensions import db
from portal.kinds import Kind
from portal.settings.effective import Origin, Resolved
from portal.validation import address_key

DAILY_CAP = "organization_cap"
RECIPIENT_CAP = "recipient_cap"
RATE = "rate_limit"
# So much of one organization goes to one recipient in an hour by the host's sender, which carries
# the name of them all: more of it is a mail bomb, whoever lit it.
PER_RECIPIENT = 120
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
# Mail that waits for its turn is not looked at more often than this; urgent mail goes before it.
_LOOK_AGAIN = 3600.0


@dataclass(frozen=True)
class Wait:
    """The sender has handed over as much as it may: not before this time."""

    until: datetime


@dataclass(frozen=True)
class Capped:
    """It is never sent; the reason is kept on the record."""

    reason: str


@dataclass(frozen=True)
class _Limit:
    key: str
    seconds: int
    most: int


class Limits:
    """Good for one transaction: `take` for each delivery, then `store`."""

    def __init__(self, addresses: Sequence[tuple[uuid.UUID | None, str]], ways: Ways) -> None:
        """`addresses`: whom this transaction may write to, each with the organization."""
        self._addresses = addresses
        self._ways = ways
        self._counts: dict[str, _Count] = {}
        self._knows_recipients = False
        self._now = utcnow().timestamp()

    def take(
        self,
        resolved: Resolved,
        organization_id: uuid.UUID | None,
        kind: Kind,
        recipient: str,
        *,
        is_counted: bool,
    ) -> Wait | Capped | None:
        """Count one delivery, or say why it does not go now. Caps count each once: `is_counted`
        says that the try before this one went by the host's sender already."""
        caps: list[tuple[_Limit, str]] = []
        by_host = resolved.level is Origin.HOST and not kind.is_security
        if organization_id is not None and by_host and not is_counted:
            caps = self._caps_of(organization_id, recipient)
        for cap, reason in caps:
            if self._count(cap).used(self._now) >= cap.most:
                return Capped(reason)
        rates = _rates_of(resolved)
        full = [rate for rate in rates if self._count(rate).used(self._now) >= rate.most]
        if full:
            return Wait(max(self._turn_of(rate) for rate in full))
        for limit in [*rates, *(cap for cap, _ in caps)]:
            self._count(limit).add(self._now)
        return None

    def store(self) -> None:
        """Write the counters down; the caller commits."""
        rows = [count.row(key) for key, count in self._counts.items() if count.is_changed]
        if not rows:
            return
        dialect = postgresql if db.engine.dialect.name == "postgresql" else sqlite
        made = dialect.insert(SendCount)
        changed = {
            name: getattr(made.excluded, name) for name in ("counts", "last_turn", "ends_at")
        }
        upsert = made.on_conflict_do_update(index_elements=[SendCount.key], set_=changed)
        db.session.execute(upsert, sorted(rows, key=lambda row: str(row["key"])))

    def _caps_of(self, organization_id: uuid.UUID, recipient: str) -> list[tuple[_Limit, str]]:
        self._know_recipients()
        caps = [(_recipient_limit(organization_id, recipient), RECIPIENT_CAP)]
        daily = self._ways.daily_cap(organization_id)
        if daily is not None:
            caps.append((_Limit(f"organization:{organization_id}:day", _DAY, daily), DAILY_CAP))
        return caps

    def _know_recipients(self) -> None:
        """All of this transaction in one look."""
        if not self._knows_recipients:
            self._knows_recipients = True
            self._know([_recipient_limit(*one) for one in self._addresses if one[0] is not None])

    def _know(self, limits: Sequence[_Limit]) -> None:
        found = _locked(limits)
        missing = [limit for limit in limits if limit.key not in found]
        if missing and db.engine.dialect.name == "postgresql":
            _make(missing)
            found |= _locked(missing)
        for limit in limits:
            self._counts.setdefault(limit.key, _Count(limit.seconds, found.get(limit.key)))

    def _count(self, limit: _Limit) -> "_Count":
        if limit.key not in self._counts:
            self._know([limit])
        return self._counts[limit.key]

    def _turn_of(self, rate: _Limit) -> datetime:
        at = self._count(rate).next_turn(rate.most, self._now)
        return datetime.fromtimestamp(at, UTC)


class _Count:
    """A counter as it is in this transaction."""

    def __init__(self, seconds: int, stored: SendCount | None) -> None:
        self._window = Window.of(seconds, stored.counts if stored else {})
        self._last_turn = stored.last_turn if stored else None
        self.is_changed = False

    def used(self, now: float) -> int:
        return self._window.used(now)

    def add(self, now: float) -> None:
        self._window.add(now)
        self.is_changed = True

    def next_turn(self, most: int, now: float) -> float:
        """One behind the other, as the rate allows: so each is looked at when its turn comes, and
        not all of a long queue every time that there is room for one."""
        opens = self._window.opens_at(most, now)
        turn = opens
        if self._last_turn is not None and self._last_turn >= opens:
            turn = self._last_turn + self._window.seconds / most
        self._last_turn = turn if turn <= opens + _LOOK_AGAIN else opens
        self.is_changed = True
        return self._last_turn

    def row(self, key: str) -> dict[str, Any]:
        ends_at = utcnow() + 2 * timedelta(seconds=self._window.seconds)
        return {
            "key": key,
            "counts": self._window.stored,
            "last_turn": self._last_turn,
            "ends_at": ends_at,
        }


def _locked(limits: Sequence[_Limit]) -> dict[str, SendCount]:
    """The rows that there are, by key. No other worker counts in them before this transaction has
    ended; SQLite has one writer at a time anyway."""
    rows = db.session.scalars(
        select(SendCount)
        .where(SendCount.key.in_({limit.key for limit in limits}))
        .order_by(SendCount.key)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {row.key: row for row in rows}


def _make(limits: Sequence[_Limit]) -> None:
    """Where there is no row, nothing is locked: two workers would both begin at nothing. Made in
    the order of the keys, so that of two workers one waits for the other and never both."""
    rows = {limit.key: _Count(limit.seconds, None).row(limit.key) for limit in limits}
    made = postgresql.insert(SendCount).on_conflict_do_nothing(index_elements=[SendCount.key])
    db.session.execute(made, [rows[key] for key in sorted(rows)])


def forget_old() -> None:
    """Delete the counters that nothing was added to for twice their time, and commit."""
    db.session.execute(delete(SendCount).where(SendCount.ends_at < utcnow()))
    db.session.commit()


def room_of_day(sender_id: uuid.UUID, per_day: int, number: int) -> datetime:
    """When a sender of so many a day will have had room for this many more (one at least), as far
    as its counter tells now."""
    stored = db.session.get(SendCount, _key_of_rate(sender_id, "day"))
    whole_days, rest = divmod(number - 1, per_day)
    window = Window.of(_DAY, stored.counts if stored else {})
    opens = window.opens_at(per_day - rest, utcnow().timestamp())
    return datetime.fromtimestamp(opens, UTC) + timedelta(days=whole_days)


def _rates_of(resolved: Resolved) -> list[_Limit]:
    bundle = resolved.bundle
    rates = ((bundle.per_minute, _MINUTE, "minute"), (bundle.per_day, _DAY, "day"))
    return [
        _Limit(_key_of_rate(resolved.sender_id, name), seconds, most)
        for most, seconds, name in rates
        if most is not None
    ]


def _key_of_rate(sender_id: uuid.UUID, name: str) -> str:
    return f"sender:{sender_id}:{name}"


def _recipient_limit(organization_id: uuid.UUID | None, address: str) -> _Limit:
    # A digest: a key has one length, and the counters hold nobody's address.
    digest = hashlib.sha256(f"{organization_id}:{address_key(address)}".encode()).hexdigest()[:40]
    return _Limit(f"recipient:{digest}:hour", _HOUR, PER_RECIPIENT)
