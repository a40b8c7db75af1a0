"""The checker: compares what callers were promised with what the servers saw and the records say.

Nothing lost, no copy without an explanation, nothing in another organization's name, and records
that tell the truth.
"""

import email.policy
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser

from sqlalchemy import select

from portal.delivery.models import Attempt, AttemptOutcome, Delivery, DeliverySecret, State
from portal.extensions import db
from tests.smtp_server import Received, SmtpServer

_OVER = (State.ACCEPTED, State.FAILED, State.UNKNOWN, State.EXPIRED, State.CANCELLED)


@dataclass
class Ledger:
    """Collects promises. `senders`: the address by which each organization's mail must leave."""

    senders: Mapping[uuid.UUID | None, str]
    promised: dict[uuid.UUID, tuple[str, str]] = field(default_factory=dict)

    def note(self, ids: Iterable[uuid.UUID]) -> list[uuid.UUID]:
        """What was committed is a promise: its recipient and Message-ID stay as they are."""
        noted = list(ids)
        for one in noted:
            delivery = db.session.get_one(Delivery, one)
            self.promised[one] = (delivery.message_id, delivery.recipient)
        db.session.rollback()
        return noted

    def check(self, *servers: SmtpServer) -> None:
        """Fails at the first thing that is not as it was promised."""
        db.session.rollback()
        db.session.expire_all()
        records = {record.id: record for record in db.session.scalars(select(Delivery))}
        seen: dict[tuple[str, str], list[Received]] = defaultdict(list)
        for message in (message for server in servers for message in server.messages):
            seen[_name(message)].append(message)
        assert records.keys() == self.promised.keys(), "each promise has a record, and no other has"
        assert seen.keys() <= set(self.promised.values()), "every copy was promised"
        for record in records.values():
            promise = self.promised[record.id]
            assert (record.message_id, record.recipient) == promise
            _check_copies(record, len(seen[promise]))
            _check_attempts(record)
            self._check_name(record, seen[promise])
        db.session.rollback()

    def _check_name(self, record: Delivery, copies: list[Received]) -> None:
        for copy in copies:
            assert copy.mail_from == self.senders[record.organization_id]
            assert self.senders[record.organization_id] in _headers(copy)["From"]


def _name(message: Received) -> tuple[str, str]:
    (recipient,) = message.recipients
    return _headers(message)["Message-ID"], recipient


def _headers(message: Received) -> Message:
    # Parsing with the newest policy costs ten times as much.
    return BytesHeaderParser(policy=email.policy.compat32).parsebytes(message.content)


def _check_copies(record: Delivery, copies: int) -> None:
    outcomes = Counter(attempt.outcome for attempt in record.attempts)
    accepted, unknown = outcomes[AttemptOutcome.ACCEPTED], outcomes[AttemptOutcome.UNKNOWN]
    assert accepted <= copies <= accepted + unknown, f"{copies} copies of {record.attempts}"
    assert copies <= 1 or record.may_be_duplicate, "a second copy is marked"
    assert copies <= 2, "one copy more at the most"
    if record.state is State.ACCEPTED:
        assert accepted >= 1
        assert record.accepted_at is not None
        assert db.session.get(DeliverySecret, record.id) is None
    if unknown:
        assert record.may_be_duplicate or record.state is State.UNKNOWN


def _check_attempts(record: Delivery) -> None:
    attempts: list[Attempt] = record.attempts
    assert [attempt.number for attempt in attempts] == list(range(1, record.attempt_count + 1))
    if record.state in _OVER:
        assert record.lease_owner is None
        assert not record.dot_pending
        assert record.next_attempt_at is None
        assert None not in [attempt.outcome for attempt in attempts]
