"""What follows a failure. Pure: decisions are values."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.kinds import Category, Kind, WhenUnknown
from portal.smtp.diagnosis import FailureClass

# Most greylisting servers take a second try after five minutes (RFC 6647, 2.1).
_GREYLISTED = timedelta(minutes=5)
_FIRST = timedelta(minutes=2)
_FIRST_URGENT = timedelta(seconds=30)
_LONGEST = timedelta(hours=1)
_URGENT = (Category.SECURITY, Category.ALERT, Category.APPROVAL)
_PROBE_FIRST = timedelta(seconds=15)
_PROBE_LONGEST = timedelta(minutes=10)
# With their jitter.
LONGEST_WAIT = _LONGEST * 1.25
LONGEST_PROBE = _PROBE_LONGEST * 1.25


@dataclass(frozen=True)
class RetryAt:
    at: datetime


@dataclass(frozen=True)
class GiveUp:
    """`expired`: the lifetime ends before another try; else the failure is final."""

    expired: bool = False


@dataclass(frozen=True)
class Hold:
    """The route is at fault: nothing is burnt, the mail waits for its sender."""


@dataclass(frozen=True)
class AskSomeone:
    """The outcome is unknown, and this kind is not sent twice without a person's word."""


Decision = RetryAt | GiveUp | Hold | AskSomeone


def decide(
    failure: FailureClass,
    *,
    kind: Kind,
    tries: int,
    now: datetime,
    expires_at: datetime,
    greylisted: bool = False,
    jitter: float = 0.0,
) -> Decision:
    """What to do after a failure. `tries` counts from 1; `jitter` lies between 0 and 1."""
    if failure is FailureClass.ROUTE_FAULT:
        return Hold()
    if failure is not FailureClass.TEMPORARY:
        return GiveUp()
    first = _FIRST_URGENT if kind.category in _URGENT else _FIRST
    wait = min(first * 2 ** min(tries - 1, 12), _LONGEST) * (1 + jitter / 4)
    at = now + max(wait, _GREYLISTED if greylisted else timedelta())
    return GiveUp(expired=True) if at >= expires_at else RetryAt(at)


def decide_unknown(*, kind: Kind, may_be_duplicate: bool, now: datetime) -> Decision:
    """The final dot went out and no reply came: one more try at the most, if the kind says so."""
    if kind.when_unknown is WhenUnknown.SEND_AGAIN and not may_be_duplicate:
        return RetryAt(now + _FIRST_URGENT)
    return AskSomeone()


def next_probe(consecutive_failures: int, now: datetime, *, jitter: float = 0.0) -> datetime:
    """When a failing sender is tried again."""
    wait = min(_PROBE_FIRST * 2 ** min(consecutive_failures - 1, 10), _PROBE_LONGEST)
    return now + wait * (1 + jitter / 4)
