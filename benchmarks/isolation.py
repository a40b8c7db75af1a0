"""How long mail takes from its acceptance to the server while other organizations are in trouble.

    python benchmarks/isolation.py [--database sqlite|postgresql|both] [--organizations 50]
                                   [--backlog 100000] [--rate 20] [--seconds 60] [--rounds 1]
                                   [--workers 2]

Each round runs twice with senders of their own, and twice with the host's sender for all: first
quiet, then beside three organizations in trouble. One's server takes no connection, one's says a
byte a second, one has a backlog waiting when the workers start. The others hand in mail steadily.
What counts is the time from the call that hands a mail in to its final dot at the server, as the
server wrote it down, and the comparison of both runs. Goal: 95 % within 10 s and 99 % within 30 s.
"""

import argparse
import itertools
import random
import socket
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from portal.database import reading_only
from portal.delivery import outbox
from portal.delivery.models import Worker
from portal.delivery.outbox import Addressee, Enqueued
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import BY_KEY
from tests.chaos import crew, sink, tenants
from tests.chaos.installing import fresh
from tests.chaos.processes import settings_of
from tests.chaos.sink import Journal, Manners
from tests.chaos.tenants import Tenant
from tests.databases import EngineName
from tests.delivering import ALERT
from tests.ledger import name_of

_DEAD, _DRIPPING, _FULL = "dead", "dripping", "full"
_TROUBLED = (_DEAD, _DRIPPING, _FULL)
# From a final dot to its reply, at most.
_LATENCY = 0.02
_FEW = 200
# So many of the backlog go to one recipient: the host's sender carries no more in an hour.
_EACH = 100
_PORTION = 1000
_PATIENCE = 300.0
Name = tuple[str, str]
_GOALS = ((0.95, 10.0), (0.99, 30.0))


@dataclass(frozen=True)
class Measured:
    """The seconds of each mail of the others, and how much of the backlog went meanwhile."""

    seconds: Sequence[float]
    missing: int
    backlog_sent: int

    def share_within(self, limit: float) -> float:
        within = sum(one <= limit for one in self.seconds)
        return within / (len(self.seconds) + self.missing)

    def __str__(self) -> str:
        cuts = statistics.quantiles(self.seconds, n=100, method="inclusive")
        figures = ", ".join(f"p{p} {cuts[p - 1] * 1000:,.0f} ms" for p in (50, 95, 99))
        missing = f", {self.missing} NEVER CAME" if self.missing else ""
        return f"{len(self.seconds):,} mails: {figures}, longest {max(self.seconds):.2f} s{missing}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--database", choices=[*EngineName, "both"], default="both")
    parser.add_argument("--organizations", type=int, default=50)
    parser.add_argument("--backlog", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=20.0, help="mails a second of the others")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    engines = list(EngineName) if chosen.database == "both" else [EngineName(chosen.database)]
    met = [
        _compare(engine, own, chosen)
        for engine in engines
        for own in (True, False)
        for _ in range(chosen.rounds)
    ]
    sys.exit(0 if all(met) else 1)


def _compare(engine: EngineName, own: bool, chosen: argparse.Namespace) -> bool:
    """A quiet run and a troubled one. Whether the goals were met."""
    by = "senders of their own" if own else "the host's sender"
    _say(f"{engine}, {chosen.organizations} organizations, {by}, {chosen.workers} workers")
    _say(f"  quiet     {_run(engine, own, troubled=False, chosen=chosen)}")
    measured = _run(engine, own, troubled=True, chosen=chosen)
    _say(f"  troubled  {measured}; {measured.backlog_sent:,} of the backlog went meanwhile")
    met = True
    for share, limit in _GOALS:
        reached = measured.share_within(limit)
        met = met and reached >= share
        _say(f"  {reached:.2%} within {limit:.0f} s, the goal is {share:.0%}")
    return met


def _run(engine: EngineName, own: bool, *, troubled: bool, chosen: argparse.Namespace) -> Measured:
    with fresh(engine) as installed, ExitStack() as stack:
        stack.enter_context(installed.app.app_context())
        path = installed.folder / "sink.jsonl"
        port = stack.enter_context(sink.running(path, Manners(latency=_LATENCY)))
        drip = Manners(drip=1.0)
        ports = {
            _DRIPPING: stack.enter_context(sink.running(installed.folder / "slow.jsonl", drip)),
            _DEAD: stack.enter_context(_deaf_port()),
        }
        found = _found(own, chosen, port, ports)
        if troubled:
            for tenant in found:
                _fill(tenant, {_FULL: chosen.backlog, _DEAD: _FEW, _DRIPPING: _FEW})
        journal = stack.enter_context(Journal(path))
        settings = settings_of(installed.app.extensions["config"])
        stack.enter_context(crew.working(settings, chosen.workers))
        _until_they_work(chosen.workers)
        handed_in = _hand_in(found, chosen, troubled)
        return _measured(handed_in, journal)


def _found(own: bool, chosen: argparse.Namespace, port: int, ports: dict[str, int]) -> list[Tenant]:
    """The dead and the dripping server are always those of senders of their own."""
    calm = [f"calm{place}" for place in range(chosen.organizations - len(_TROUBLED))]
    if own:
        return tenants.found([_FULL, *ports, *calm], [], port, elsewhere=ports)
    crowds = {_FULL: chosen.backlog // _EACH + 1}
    return tenants.found([*ports], [_FULL, *calm], port, elsewhere=ports, crowds=crowds)


@contextmanager
def _deaf_port() -> Iterator[int]:
    """A port whose queue is full: a connection is neither taken nor refused."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port: int = listener.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


def _fill(tenant: Tenant, backlogs: dict[str, int]) -> None:
    """What waits before the workers start; commits."""
    backlog = backlogs.get(tenant.slug, 0)
    for first in range(0, backlog, _PORTION):
        _enqueue(tenant, min(_PORTION, backlog - first))


def _enqueue(tenant: Tenant, mails: int) -> Enqueued:
    organization = db.session.get_one(Organization, tenant.id)
    people = itertools.islice(itertools.cycle(tenant.people.items()), mails)
    made = outbox.enqueue(
        organization,
        BY_KEY["alert.raised"],
        data=ALERT,
        addressees=[Addressee(address, user_id) for address, user_id in people],
    )
    db.session.commit()
    return made


def _until_they_work(workers: int) -> None:
    reading_only(True)
    while db.session.scalar(select(func.count()).select_from(Worker)) != workers:
        db.session.rollback()
        time.sleep(0.05)
    db.session.rollback()
    reading_only(False)


def _hand_in(found: list[Tenant], chosen: argparse.Namespace, troubled: bool) -> dict[Name, float]:
    """One mail after the other, at the rate; now and then also of those in trouble. Returns when
    each mail of the others was first asked for."""
    calm = [tenant for tenant in found if tenant.slug not in _TROUBLED]
    sick = [tenant for tenant in found if tenant.slug in _TROUBLED] if troubled else []
    chance = random.Random(1)  # noqa: S311 - chooses organizations, guards nothing
    handed_in = {}
    began = time.monotonic()
    for turn in range(int(chosen.rate * chosen.seconds)):
        time.sleep(max(0.0, began + turn / chosen.rate - time.monotonic()))
        asked_at = time.time()
        handed_in[_hand_in_one(chance.choice(calm))] = asked_at
        if sick and turn % 10 == 0:
            _hand_in_one(chance.choice(sick))
    return handed_in


def _hand_in_one(tenant: Tenant) -> Name:
    """Again and again, as a caller does who is told that the database is busy."""
    while True:
        try:
            (made,) = _enqueue(tenant, 1).deliveries
            return made.message_id, made.recipient
        except OperationalError:
            continue
        finally:
            db.session.rollback()


def _measured(handed_in: dict[Name, float], journal: Journal) -> Measured:
    """Waits until all have come, or patience ends."""
    until = time.monotonic() + _PATIENCE
    came: dict[Name, float] = {}
    looked_at = 0
    while len(came) < len(handed_in) and time.monotonic() < until:
        time.sleep(0.2)
        new = journal.read()[looked_at:]
        looked_at += len(new)
        came |= {name: dot.at for dot in new if (name := name_of(dot)) in handed_in}
    others = looked_at - len(came)
    seconds = [at - handed_in[name] for name, at in came.items()]
    return Measured(seconds, len(handed_in) - len(came), others)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
