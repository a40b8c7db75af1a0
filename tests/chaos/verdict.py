"""The verdict on a run: what the ledger finds, and whether each copy and each unknown outcome has
a fault to explain it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from portal.delivery.attempts import LEASE_LOST
from portal.delivery.models import AttemptOutcome, Delivery, State
from portal.extensions import db
from tests.chaos.faults import Faults
from tests.ledger import Ledger, name_of

_BY_KILL = "worker_lost"


@dataclass(frozen=True)
class Verdict:
    """The figures of a run. `wrong` is empty where every promise was kept."""

    promised: int
    states: Counter[str]
    copies: int
    extra_copies: int
    marked: int
    recoveries: int
    unknown_without_copy: int
    wrong: tuple[str, ...]


def judge(ledger: Ledger, faults: Faults) -> Verdict:
    """Read everything once more. Expects an application context."""
    wrong = ledger.wrong(faults.copies)
    wanted = select(Delivery).options(selectinload(Delivery.attempts))
    records = list(db.session.scalars(wanted))
    of_mail = Counter(map(name_of, faults.copies))
    wrong += _unexplained(records, of_mail, faults)
    verdict = Verdict(
        promised=len(ledger.promised),
        states=Counter(_state(record) for record in records),
        copies=len(faults.copies),
        extra_copies=sum(copies - 1 for copies in of_mail.values()),
        marked=sum(record.may_be_duplicate for record in records),
        recoveries=sum(record.recoveries for record in records),
        unknown_without_copy=sum(
            record.state is State.UNKNOWN and not of_mail[_name(record)] for record in records
        ),
        wrong=tuple(wrong),
    )
    db.session.rollback()
    return verdict


def _unexplained(
    records: list[Delivery], copies: Counter[tuple[str, str]], faults: Faults
) -> list[str]:
    kills, drops, answers = faults.kills_of(), faults.drops_of(), faults.answers_of()
    found = []
    for record in records:
        name = _name(record)
        killed, dropped = kills.get(record.id, 0), drops.get(name, 0)
        for what in (
            *_wrong_fate(record, copies[name], answers.get(name, 0)),
            *_wrong_unknowns(record, killed, dropped),
        ):
            found.append(f"{record.id}, {_state(record)}: {what}")
        if copies[name] > 1 + killed + dropped:
            found.append(f"{record.id}: {copies[name]} copies, {killed + dropped} faults")
    return found


def _wrong_fate(record: Delivery, copies: int, answers: int) -> Iterator[str]:
    if record.state not in (State.ACCEPTED, State.UNKNOWN):
        yield f"neither accepted nor unknown, {copies} copies at the server"
    elif copies == 0 and record.state is not State.UNKNOWN:
        yield "lost"
    accepted = _attempts(record, AttemptOutcome.ACCEPTED)
    if len(accepted) > answers:
        yield f"accepted {len(accepted)} times, and the server said so {answers} times"
    # An answer that came when the claim was lost is noted at its attempt, and decides nothing once
    # the mail was tried again.
    if record.state is State.UNKNOWN and set(accepted) - {LEASE_LOST}:
        yield "unknown, and a server accepted it"


def _wrong_unknowns(record: Delivery, killed: int, dropped: int) -> Iterator[str]:
    unknown = _attempts(record, AttemptOutcome.UNKNOWN)
    by_kills = unknown.count(_BY_KILL)
    if by_kills > killed:
        yield f"unknown after {by_kills} kills, and {killed} met it"
    if len(unknown) - by_kills > dropped:
        yield f"unknown after {len(unknown) - by_kills} drops, and {dropped} met it"
    if len(unknown) < dropped:
        yield f"{dropped} drops, and {len(unknown)} of them noticed"


def _attempts(record: Delivery, outcome: AttemptOutcome) -> list[str | None]:
    """The causes of the attempts that ended so."""
    return [attempt.cause for attempt in record.attempts if attempt.outcome is outcome]


def _state(record: Delivery) -> str:
    return f"{record.state} ({record.reason})" if record.reason == "parked" else record.state.value


def _name(record: Delivery) -> tuple[str, str]:
    return record.message_id, record.recipient
