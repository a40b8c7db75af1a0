"""The suppression list in pages, its search, and lifting."""

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from portal.audit.log import OPERATOR
from portal.audit.models import AuditEntry
from portal.clock import utcnow
from portal.delivery.counting import Count
from portal.delivery.models import State
from portal.delivery.suppressions import BOUNCED, FOR_GOOD, REST, Suppression
from portal.records import suppressions
from portal.records.visibility import route_of
from portal.settings.scope import HOST, Scope
from tests.cast import Cast
from tests.portal.records.records import listed, organization_of, told

Open = scoped_session[Session]


def test_pages_hold_one_scope_newest_first_and_follow_each_other(session: Open, cast: Cast) -> None:
    acme, globex = Scope(cast.acme.id), Scope(cast.globex.id)
    ids = [listed(acme, f"gone{number}@x.test").id for number in range(5)]
    theirs, own = listed(globex, "gone0@x.test").id, listed(HOST, "gone0@x.test").id
    first = suppressions.search(acme, limit=2)
    assert ([row.id for row in first.items], first.newer) == ([ids[4], ids[3]], None)
    second = suppressions.search(acme, limit=2, after=first.next)
    third = suppressions.search(acme, limit=2, after=second.next)
    assert ([row.id for row in third.items], third.next) == ([ids[0]], None)
    back = suppressions.search(acme, limit=2, newer_than=third.newer)
    assert [row.id for row in back.items] == [ids[2], ids[1]]
    top = suppressions.search(acme, limit=2, newer_than=back.newer)
    assert [row.id for row in top.items] == [ids[4], ids[3]]
    assert [row.id for row in suppressions.search_everywhere().items] == [own, theirs, *ids[::-1]]
    assert [row.id for row in suppressions.search(HOST).items] == [own]
    assert suppressions.count(acme) == Count(5)
    assert suppressions.count_everywhere() == Count(7)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"address": " GONE@x.Test "}, 1),
        ({"address": "gone@x"}, 0),
        ({"text": "ONE@X"}, 1),
        ({"text": "%"}, 0),
        ({"address": "gone@x.test", "text": "ben"}, 0),
    ],
)
def test_an_address_is_found_whole_or_by_a_part_of_it(
    session: Open, cast: Cast, wanted: dict[str, str], found: int
) -> None:
    acme = Scope(cast.acme.id)
    listed(acme, "Gone@x.test")
    listed(acme, "ben@y.test")
    assert len(suppressions.search(acme, **wanted).items) == found  # type: ignore[arg-type]


def test_lifting_is_audited_without_the_address_and_reaches_no_other_scope(
    session: Open, cast: Cast
) -> None:
    acme = Scope(cast.acme.id)
    mine, theirs = listed(acme, "gone@x.test"), listed(Scope(cast.globex.id), "gone@x.test")
    ids = [mine.id, mine.id, theirs.id, uuid.uuid4()]
    assert suppressions.lift(acme, ids, actor=OPERATOR) == ["gone@x.test"]
    assert suppressions.lift(HOST, ids, actor=OPERATOR) == []
    session.commit()
    assert session.scalars(select(Suppression.id)).all() == [theirs.id]
    entry = session.scalars(select(AuditEntry).where(AuditEntry.object_type == "suppression")).one()
    assert (entry.action, entry.organization_id) == ("suppression.lifted", cast.acme.id)
    assert "x.test" not in str(entry.changes)
    assert suppressions.lift(acme, ids, actor=OPERATOR) == []


def test_mail_to_a_lifted_address_goes_out_again(session: Open, cast: Cast) -> None:
    acme = Scope(cast.acme.id)
    entry = listed(acme, cast.alice.email.upper())
    (stopped,) = told(cast.acme, "Disk full")
    assert (stopped.state, stopped.reason) == (State.SUPPRESSED, BOUNCED)
    assert suppressions.was_stopped(stopped)
    assert suppressions.of_delivery(stopped) == entry
    suppressions.lift(acme, [entry.id], actor=OPERATOR)
    (sent,) = told(cast.acme, "Disk full again")
    assert sent.state is State.QUEUED
    assert not suppressions.was_stopped(sent)
    assert suppressions.of_delivery(sent) is suppressions.of_delivery(stopped) is None


def test_an_entry_says_until_when_mail_stops(session: Open, cast: Cast) -> None:
    entry = listed(Scope(cast.acme.id), "gone@x.test")
    assert (entry.rests_until, entry.stops_mail) == (entry.refused_at + REST, True)
    entry.refused_at = utcnow() - REST - timedelta(seconds=1)
    assert not entry.stops_mail
    entry.refusals = FOR_GOOD
    assert (entry.rests_until, entry.stops_mail) == (None, True)


def test_an_organization_does_not_read_the_name_of_the_platforms_server(
    session: Open, cast: Cast
) -> None:
    organization = organization_of(cast.acme)
    entry = listed(Scope.of(organization), "gone@x.test", server="relay.platform.test")
    entry.reply = "5.1.1 gone@x.test unknown at relay.platform.test"
    at_host = route_of(entry, level=entry.level, at_host=True).reply
    inside = route_of(entry, level=entry.level, at_host=False).reply
    assert (at_host, inside) == (entry.reply, None)
