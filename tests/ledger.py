"""The checker: compares what callers were promised with what the servers saw and the records say.

Nothing lost, no copy without an explanation, nothing in another organization's name, and records
that tell the truth.
"""

import email.policy
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from portal.delivery.models import AttemptOutcome, Delivery, DeliverySecret, State
from portal.extensions import db
from tests.smtp_server import SmtpServer

OVER = (
    State.ACCEPTED,
    State.FAILED,
    State.UNKNOWN,
    State.EXPIRED,
    State.CANCELLED,
    State.SUPPRESSED,
)


class Copy(Protocol):
    """A message that a server took over: at least its header in `content`."""

    @property
    def mail_from(self) -> str: ...
    @property
    def recipients(self) -> tuple[str, ...]: ...
    @property
    def content(self) -> bytes: ...


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
        """Fails where anything is not as it was promised."""
        wrong = self.wrong(message for server in servers for message in server.messages)
        assert not wrong, "\n".join(wrong)

    def wrong(self, copies: Iterable[Copy]) -> list[str]:
        """Everything that is not as it was promised, given all messages that servers took."""
        db.session.rollback()
        db.session.expire_all()
        wanted = select(Delivery).options(selectinload(Delivery.attempts))
        records = {record.id: record for record in db.session.scalars(wanted)}
        secrets = set(db.session.scalars(select(DeliverySecret.delivery_id)))
        seen: dict[tuple[str, str], list[Copy]] = defaultdict(list)
        for copy in copies:
            seen[name_of(copy)].append(copy)
        found = [
            *(f"{one}: promised, and without a record" for one in self.promised.keys() - records),
            *(f"{one}: a record that nobody asked for" for one in records.keys() - self.promised),
            *(f"{one}: nobody was promised this" for one in seen.keys() - self._names()),
        ]
        for record in (records[one] for one in records.keys() & self.promised.keys()):
            promise = self.promised[record.id]
            for what in (
                *_wrong_promise(record, promise),
                *_wrong_copies(record, len(seen[promise])),
                *_wrong_end(record, record.id in secrets),
                *_wrong_attempts(record),
                *self._wrong_names(record, seen[promise]),
            ):
                found.append(f"{record.id}, {record.state}: {what}")
        db.session.rollback()
        return found

    def _names(self) -> set[tuple[str, str]]:
        return set(self.promised.values())

    def _wrong_names(self, record: Delivery, copies: list[Copy]) -> Iterator[str]:
        address = self.senders[record.organization_id]
        for copy in copies:
            if copy.mail_from != address:
                yield f"sent by {copy.mail_from}, not by {address}"
            if address not in _headers(copy)["From"]:
                yield f"written in the name of {_headers(copy)['From']}, not of {address}"
            subject = str(make_header(decode_header(_headers(copy)["Subject"])))
            if subject.split() != record.subject.split():
                yield f"a letter with another subject: {subject}"


def name_of(copy: Copy) -> tuple[str, str]:
    """The Message-ID and the recipient."""
    (recipient,) = copy.recipients
    return _headers(copy)["Message-ID"], recipient


def _headers(copy: Copy) -> Message:
    # Parsing with the newest policy costs ten times as much.
    return BytesHeaderParser(policy=email.policy.compat32).parsebytes(copy.content)


def _wrong_promise(record: Delivery, promise: tuple[str, str]) -> Iterator[str]:
    if (record.message_id, record.recipient) != promise:
        yield f"another Message-ID or recipient than {promise}"


def _wrong_copies(record: Delivery, copies: int) -> Iterator[str]:
    outcomes = Counter(attempt.outcome for attempt in record.attempts)
    accepted, unknown = outcomes[AttemptOutcome.ACCEPTED], outcomes[AttemptOutcome.UNKNOWN]
    if not accepted <= copies <= accepted + unknown:
        yield f"{copies} copies by {accepted} accepted and {unknown} unknown attempts"
    if copies > 1 and not record.may_be_duplicate:
        yield "a second copy is not marked"
    if copies > 2:
        yield f"{copies} copies"
    if record.state is State.ACCEPTED and accepted == 0:
        yield "no attempt was accepted"
    if unknown and not record.may_be_duplicate and record.state is not State.UNKNOWN:
        yield "what is unknown is not told"


def _wrong_end(record: Delivery, has_secret: bool) -> Iterator[str]:
    if record.state is State.ACCEPTED and record.accepted_at is None:
        yield "accepted at no time"
    if record.state is State.ACCEPTED and has_secret:
        yield "its secrets are kept"
    if record.state in OVER:
        if record.lease_owner is not None or record.dot_pending:
            yield "still in a worker's hands"
        if record.next_attempt_at is not None:
            yield "to be tried again"
        if None in [attempt.outcome for attempt in record.attempts]:
            yield "an open attempt"


def _wrong_attempts(record: Delivery) -> Iterator[str]:
    numbers = [attempt.number for attempt in record.attempts]
    if numbers != list(range(1, record.attempt_count + 1)):
        yield f"{record.attempt_count} attempts counted, and {numbers} kept"
