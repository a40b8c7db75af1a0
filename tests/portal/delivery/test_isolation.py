"""One organization in trouble is nobody else's: the short form of benchmarks/isolation.py."""

import itertools
import uuid
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.delivery.models import Delivery, State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from tests.chaos import crew, sink, tenants
from tests.chaos.processes import settings_of
from tests.chaos.sink import Journal, Manners
from tests.chaos.tenants import Tenant
from tests.delivering import all_in, enqueue, until
from tests.smtp_server import SmtpServer, drip, hang

BACKLOG = 1500
DEAD, DRIPPING, FULL = "dead", "dripping", "full"
CALM = ["acme", "globex", "initech"]


def hand_in(tenant: Tenant, mails: int) -> list[uuid.UUID]:
    organization = db.session.get_one(Organization, tenant.id)
    people = itertools.islice(itertools.cycle(tenant.people.items()), mails)
    return enqueue(organization, *(Addressee(*person) for person in people))


def accepted(tenant: Tenant) -> int:
    mine = Delivery.organization_id == tenant.id
    wanted = select(func.count()).where(mine, Delivery.state == State.ACCEPTED)
    count = db.session.scalar(wanted) or 0
    db.session.rollback()
    return count


@pytest.mark.parametrize("own", [True, False], ids=["own senders", "the host's sender"])
def test_a_backlog_and_dead_and_dripping_servers_hold_up_no_other_organization(
    app: Flask, tmp_path: Path, own: bool
) -> None:
    journal = tmp_path / "sink.jsonl"
    with (
        app.app_context(),
        SmtpServer(script={"greeting": hang()}) as dead,
        SmtpServer(script={"greeting": drip(b"220 slow.test ESMTP", every=1.0)}) as dripping,
        sink.running(journal, Manners(latency=0.1)) as port,
        Journal(journal) as seen,
    ):
        elsewhere = {DEAD: dead.port, DRIPPING: dripping.port}
        others = [FULL, *CALM]
        by = ([*elsewhere, *others], []) if own else ([*elsewhere], others)
        found = {
            one.slug: one
            for one in tenants.found(*by, port, elsewhere=elsewhere, crowds={FULL: 20})
        }
        for slug, mails in {DEAD: 100, DRIPPING: 100, FULL: BACKLOG}.items():
            hand_in(found[slug], mails)
        with crew.working(settings_of(app.extensions["config"]), 1):
            until(lambda: bool(seen.read() and dead.connections and dripping.connections))
            before = len(seen.read())
            handed_in = [one for slug in CALM for one in hand_in(found[slug], 5)]
            until(all_in(State.ACCEPTED, handed_in))
            gone_first = len(seen.read()) - before - len(handed_in)
            assert 0 < accepted(found[FULL]) < BACKLOG
            assert accepted(found[DEAD]) == accepted(found[DRIPPING]) == 0
    assert gone_first < BACKLOG / 3
