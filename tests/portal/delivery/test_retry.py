"""What follows a failure, by table."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.delivery import retry
from portal.delivery.retry import AskSomeone, Decision, GiveUp, Hold, RetryAt
from portal.kinds import ALL, BY_KEY, Category, Kind, WhenUnknown
from portal.smtp.diagnosis import FailureClass

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
DAY, HOUR, MINUTE, SECOND = (
    timedelta(days=1),
    timedelta(hours=1),
    timedelta(minutes=1),
    timedelta(seconds=1),
)
ALERT, TEST_MAIL = BY_KEY["alert.raised"], BY_KEY["mail.test"]


def decided(failure: FailureClass, **more: object) -> Decision:
    values: dict[str, object] = {"kind": ALERT, "tries": 1, "now": NOW, "expires_at": NOW + DAY}
    return retry.decide(failure, **(values | more))  # type: ignore[arg-type]


def wait(**more: object) -> timedelta:
    decision = decided(FailureClass.TEMPORARY, **more)
    assert isinstance(decision, RetryAt)
    return decision.at - NOW


@pytest.mark.parametrize(
    ("failure", "decision"),
    [
        (FailureClass.ROUTE_FAULT, Hold()),
        (FailureClass.RECIPIENT, GiveUp()),
        (FailureClass.MESSAGE, GiveUp()),
        (FailureClass.TEMPORARY, RetryAt(NOW + 30 * SECOND)),
    ],
)
def test_each_class_of_failure_has_its_answer(failure: FailureClass, decision: Decision) -> None:
    assert decided(failure) == decision


def test_no_class_of_failure_was_forgotten() -> None:
    assert len(FailureClass) == 4


@pytest.mark.parametrize(
    ("tries", "urgent", "other"),
    [
        (1, 30 * SECOND, 2 * MINUTE),
        (2, MINUTE, 4 * MINUTE),
        (3, 2 * MINUTE, 8 * MINUTE),
        (6, 16 * MINUTE, HOUR),
        (8, HOUR, HOUR),
        (10_000, HOUR, HOUR),
    ],
)
def test_waits_double_up_to_an_hour(tries: int, urgent: timedelta, other: timedelta) -> None:
    assert wait(tries=tries) == urgent
    assert wait(tries=tries, kind=TEST_MAIL) == other


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.key)
def test_what_is_urgent_is_tried_again_within_a_minute(kind: Kind) -> None:
    urgent = kind.category in (Category.SECURITY, Category.ALERT, Category.APPROVAL)
    assert (wait(kind=kind, jitter=1.0) <= MINUTE) is urgent


def test_jitter_makes_a_wait_longer_by_a_quarter_at_the_most() -> None:
    assert wait(jitter=0.0) == 30 * SECOND
    assert wait(jitter=0.5) == 33.75 * SECOND
    assert wait(jitter=1.0) == 37.5 * SECOND
    assert wait(tries=99, jitter=1.0) == 75 * MINUTE


@pytest.mark.parametrize(
    ("tries", "expected"), [(1, 5 * MINUTE), (4, 5 * MINUTE), (5, 8 * MINUTE), (9, HOUR)]
)
def test_greylisting_gets_five_minutes_or_the_wait_that_is_due(
    tries: int, expected: timedelta
) -> None:
    assert wait(tries=tries, greylisted=True) == expected


@pytest.mark.parametrize(
    ("left", "decision"),
    [
        (31 * SECOND, RetryAt(NOW + 30 * SECOND)),
        (30 * SECOND, GiveUp(expired=True)),
        (SECOND, GiveUp(expired=True)),
        (-HOUR, GiveUp(expired=True)),
    ],
)
def test_a_try_that_would_come_after_the_end_is_not_waited_for(
    left: timedelta, decision: Decision
) -> None:
    assert decided(FailureClass.TEMPORARY, expires_at=NOW + left) == decision


def test_a_fault_of_the_route_holds_mail_whatever_time_is_left() -> None:
    assert decided(FailureClass.ROUTE_FAULT, expires_at=NOW - HOUR, tries=99) == Hold()


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.key)
def test_an_unknown_outcome_is_tried_once_more_where_the_kind_says_so(kind: Kind) -> None:
    first = retry.decide_unknown(kind=kind, may_be_duplicate=False, now=NOW)
    second = retry.decide_unknown(kind=kind, may_be_duplicate=True, now=NOW)
    again = kind.when_unknown is WhenUnknown.SEND_AGAIN
    assert first == (RetryAt(NOW + 30 * SECOND) if again else AskSomeone())
    assert second == AskSomeone()


def test_alerts_approvals_and_security_mail_are_sent_again_and_a_test_mail_is_not() -> None:
    again = {kind.category for kind in ALL if kind.when_unknown is WhenUnknown.SEND_AGAIN}
    assert again >= {Category.ALERT, Category.APPROVAL, Category.SECURITY}
    assert TEST_MAIL.when_unknown is WhenUnknown.ASK


@pytest.mark.parametrize(
    ("failures", "expected"),
    [(1, 15 * SECOND), (2, 30 * SECOND), (5, 4 * MINUTE), (7, 10 * MINUTE), (10_000, 10 * MINUTE)],
)
def test_probes_come_ever_later_up_to_ten_minutes(failures: int, expected: timedelta) -> None:
    assert retry.next_probe(failures, NOW) == NOW + expected
    assert retry.next_probe(failures, NOW, jitter=1.0) == NOW + expected * 1.25


def test_a_probe_of_a_sender_that_never_failed_comes_at_once_too() -> None:
    assert NOW < retry.next_probe(0, NOW) <= NOW + 15 * SECOND
