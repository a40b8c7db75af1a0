"""The table of workers keeps those that matter."""

from datetime import timedelta

from sqlalchemy import select

from portal import background
from portal.clock import utcnow
from portal.delivery import claims, recovering
from portal.delivery.models import Worker
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from tests.delivering import end_leases, enqueue


def test_workers_that_are_gone_for_a_day_are_forgotten_unless_they_own_mail(
    globex: Organization,
) -> None:
    enqueue(globex, Addressee("ann@x.test"))
    assert claims.claim("silent, with mail", limit=1)
    hours = {"alive": 0, "stopped now": 1, "stopped": 25, "silent": 25, "silent, with mail": 25}
    for name, ago in hours.items():
        at = utcnow() - timedelta(hours=ago)
        stopped_at = at if name.startswith("stopped") else None
        db.session.add(Worker(id=name, started_at=at, heartbeat_at=at, stopped_at=stopped_at))
    db.session.commit()

    background.forget()
    assert names() == {"alive", "stopped now", "silent, with mail"}
    end_leases()
    assert recovering.recover_expired() == 1
    background.forget()
    assert names() == {"alive", "stopped now"}


def names() -> set[str]:
    return set(db.session.scalars(select(Worker.id)))
