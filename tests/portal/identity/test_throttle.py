"""How often a password may be tried, without locking anyone out."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.clock import utcnow
from portal.identity import throttle
from portal.identity.models import SignInAttempt
from portal.identity.throttle import Throttled

HOME, ELSEWHERE = "192.0.2.7", "198.51.100.9"


def tries(count: int, email: str = "ann@acme.test", ip: str = ELSEWHERE) -> None:
    for _ in range(count):
        throttle.admit_sign_in(email, ip=ip)


def test_an_account_takes_ten_tries_from_one_address(session: Session) -> None:
    tries(10)
    with pytest.raises(Throttled) as refused:
        tries(1)
    assert timedelta() < refused.value.until - utcnow() <= throttle.WINDOW


def test_guessing_from_elsewhere_does_not_lock_the_owner_out(session: Session) -> None:
    tries(10, ip=ELSEWHERE)
    throttle.admit_sign_in("ann@acme.test", ip=HOME)


def test_case_and_blanks_make_no_new_account(session: Session) -> None:
    tries(10, email="ann@acme.test")
    with pytest.raises(Throttled):
        tries(1, email="  ANN@Acme.Test ")


def test_one_address_takes_fifty_tries_over_all_accounts(session: Session) -> None:
    for number in range(50):
        throttle.admit_sign_in(f"p{number}@acme.test", ip=ELSEWHERE)
    with pytest.raises(Throttled):
        throttle.admit_sign_in("new@acme.test", ip=ELSEWHERE)


def test_all_addresses_of_one_ipv6_customer_count_as_one(session: Session) -> None:
    for number in range(10):
        throttle.admit_sign_in("ann@acme.test", ip=f"2001:db8:1:2::{number + 1}")
    with pytest.raises(Throttled):
        throttle.admit_sign_in("ann@acme.test", ip="2001:db8:1:2:ffff::1")
    throttle.admit_sign_in("ann@acme.test", ip="2001:db8:1:3::1")


def test_a_right_password_takes_the_tries_away(session: Session) -> None:
    tries(9)
    throttle.forgive_sign_in("ann@acme.test", ip=ELSEWHERE)
    tries(10)


def test_tries_count_for_fifteen_minutes_and_are_then_forgotten(session: Session) -> None:
    tries(10)
    with time_machine.travel(utcnow() + throttle.WINDOW + timedelta(seconds=1)):
        tries(1)
    with time_machine.travel(utcnow() + timedelta(hours=3)):
        tries(1)
        assert session.scalar(select(func.count()).select_from(SignInAttempt)) == 1


def test_the_table_holds_no_address_of_an_account(session: Session) -> None:
    tries(1)
    assert "ann" not in session.scalars(select(SignInAttempt.account)).one()


def test_an_account_gets_three_recovery_mails_an_hour_from_everywhere(session: Session) -> None:
    said = [throttle.admit_recovery("ann@acme.test", ip=f"192.0.2.{n}") for n in range(5)]
    assert said == [True, True, True, False, False]


def test_an_address_asks_for_recovery_twenty_times_an_hour(session: Session) -> None:
    for number in range(20):
        throttle.admit_recovery(f"p{number}@acme.test", ip=ELSEWHERE)
    with pytest.raises(Throttled):
        throttle.admit_recovery("new@acme.test", ip=ELSEWHERE)
    throttle.admit_sign_in("ann@acme.test", ip=ELSEWHERE)
