"""What tests of a sender's faults share: held mail with nothing burnt, and its release."""

import socket
import uuid
from collections.abc import Sequence
from typing import Any

from portal.delivery import sweeping
from portal.delivery.models import Attempt, AttemptOutcome, State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.settings.models import Sender
from tests.cast import Cast
from tests.delivering import all_in, hurry, record, take_turns


def people(count: int) -> list[Addressee]:
    return [Addressee(f"ann{number}@x.test") for number in range(count)]


def alice(cast: Cast) -> Addressee:
    return Addressee(cast.alice.email, cast.alice.id)


def held(
    ids: Sequence[uuid.UUID],
    phase: str,
    cause: str,
    *,
    code: int | None = None,
    times: int = 1,
) -> Attempt:
    """All of it waits for its sender, which is paused; one mail says why, none has lost a try.

    `times`: how often this mail has met a fault of its sender by now.
    """
    assert all_in(State.HELD, ids)()
    assert {record(one).reason for one in ids} == {"sender_failing"}
    attempts = [attempt for one in ids for attempt in record(one).attempts]
    assert len(attempts) == times
    assert all(attempt.is_route_fault for attempt in attempts)
    assert {attempt.outcome for attempt in attempts} == {AttemptOutcome.DEFERRED}
    attempt = max(attempts, key=lambda attempt: attempt.id)
    assert (attempt.phase, attempt.cause, attempt.code) == (phase, cause, code)
    sender = db.session.get_one(Sender, attempt.delivery.sender_id)
    assert sender.last_failure_cause == cause
    assert sender.next_probe_at is not None
    return attempt


def deferred(one: uuid.UUID, phase: str, cause: str, *, code: int | None = None) -> Attempt:
    """This mail waits for its next try; its sender goes on."""
    delivery = record(one)
    assert (delivery.state, delivery.reason) == (State.DEFERRED, cause)
    assert delivery.next_attempt_at is not None
    attempt = delivery.attempts[-1]
    assert (attempt.phase, attempt.cause, attempt.code) == (phase, cause, code)
    assert not attempt.is_route_fault
    return attempt


def later() -> None:
    """The time of every retry and probe has come."""
    hurry()
    sweeping.probe_paused_senders()
    take_turns()


class Names:
    """Answers look-ups below .test: addresses, or an error, one after another; the last stays.

    Put it in the place of `socket.getaddrinfo`.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._answers: dict[str, list[Sequence[str] | OSError]] = {}
        self._system = socket.getaddrinfo

    def answer(self, name: str, *answers: Sequence[str] | OSError) -> None:
        self._answers[name] = list(answers)

    def __call__(self, host: Any, port: Any, *rest: Any, **more: Any) -> list[Any]:
        if not isinstance(host, str) or not host.endswith(".test"):
            return self._system(host, port, *rest, **more)
        self.asked.append(host)
        left = self._answers[host]
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, OSError):
            raise answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in answer]
