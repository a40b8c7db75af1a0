"""One-time links: used once, in time, and only as what they were made for."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import clock
from portal.audit.log import OPERATOR
from portal.extensions import db
from portal.identity import links, users
from portal.identity.links import AlreadySetUp, LinkRefused, LinkState
from portal.identity.models import AccountLink, LinkPurpose, User


@pytest.fixture
def ann(session: Session) -> User:
    return users.create(email="ann@acme.test", name="Ann", actor=OPERATOR)


def refusal(purpose: LinkPurpose, token: str) -> LinkState:
    with pytest.raises(LinkRefused) as refused:
        links.find(purpose, token)
    return refused.value.state


def test_a_link_is_found_by_its_token_which_is_not_stored(ann: User) -> None:
    link, token = links.create(LinkPurpose.RECOVERY, user=ann)
    assert links.find(LinkPurpose.RECOVERY, token) is link
    assert token not in str(vars(link)) and len(token) >= 43


def test_a_link_of_another_purpose_opens_nothing(ann: User) -> None:
    _link, token = links.create(LinkPurpose.INVITATION, user=ann)
    assert refusal(LinkPurpose.RECOVERY, token) is LinkState.UNKNOWN


def test_a_link_is_used_once(ann: User) -> None:
    link, token = links.create(LinkPurpose.RECOVERY, user=ann)
    links.use(link)
    assert refusal(LinkPurpose.RECOVERY, token) is LinkState.USED
    with pytest.raises(LinkRefused):
        links.use(link)


def test_using_one_link_spends_the_persons_others_of_that_purpose(ann: User) -> None:
    first, _ = links.create(LinkPurpose.RECOVERY, user=ann)
    _second, later_token = links.create(LinkPurpose.RECOVERY, user=ann)
    _other, invitation = links.create(LinkPurpose.INVITATION, user=ann)
    links.use(first)
    assert refusal(LinkPurpose.RECOVERY, later_token) is LinkState.USED
    assert links.find(LinkPurpose.INVITATION, invitation)


@pytest.mark.parametrize("purpose", list(LinkPurpose))
def test_a_link_runs_out(ann: User, purpose: LinkPurpose) -> None:
    link, token = links.create(purpose, user=ann)
    with time_machine.travel(clock.utcnow() + links.LIFETIMES[purpose] + timedelta(seconds=1)):
        assert refusal(purpose, token) is LinkState.EXPIRED
        with pytest.raises(LinkRefused):
            links.use(link)


def test_renewing_gives_a_new_token_and_ends_the_old_one(ann: User) -> None:
    link, old = links.create(LinkPurpose.INVITATION, user=ann)
    new = links.renew(link)
    assert refusal(LinkPurpose.INVITATION, old) is LinkState.UNKNOWN
    assert links.find(LinkPurpose.INVITATION, new) is link


def test_a_new_set_up_link_ends_the_one_before(session: Session) -> None:
    first, second = links.create_setup_link(), links.create_setup_link()
    assert refusal(LinkPurpose.SETUP, first) is LinkState.UNKNOWN
    assert links.find(LinkPurpose.SETUP, second)


def test_there_is_no_set_up_link_once_there_is_a_system_administrator(session: Session) -> None:
    users.create(email="r@a.test", name="R", actor=OPERATOR, is_system_administrator=True)
    with pytest.raises(AlreadySetUp):
        links.create_setup_link()


def test_of_many_who_use_a_link_at_once_one_gets_through(app: Flask) -> None:
    with app.app_context():
        ann = users.create(email="ann@acme.test", name="Ann", actor=OPERATOR)
        links.create(LinkPurpose.INVITATION, user=ann)
        db.session.commit()

    def use(_: int) -> bool:
        with app.app_context():
            link = db.session.scalars(select(AccountLink)).one()
            try:
                links.use(link)
            except LinkRefused:
                return False
            db.session.commit()
            return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(use, range(4))) == [False, False, False, True]
