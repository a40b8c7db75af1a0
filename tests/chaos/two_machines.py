"""Two machines send the mail of one PostgreSQL on a third one, and one of the two is cut off from
it in the middle of a transaction; after minutes it comes back, with what it believed it held. Its
clock is ten minutes fast.

    python -m tests.chaos.two_machines [--mails 400] [--away 180] [--ahead 600] [--seed 1]

The machines are network namespaces: it takes Linux, root and iproute2. Each has a mail server of
its own, which stays within reach. Ends with 1 where a promise was broken: where mail is lost, sent
twice without a fault, not recovered within 90 seconds, or where the machine that came back wrote
over what had gone on without it; with 2 where this machine cannot make namespaces.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from multiprocessing.process import BaseProcess
from typing import Any

import time_machine
from sqlalchemy import func, select

from portal.clock import utcnow
from portal.config import Config
from portal.extensions import db
from tests.chaos import crew, handing_in, network, sink, tenants, watching
from tests.chaos.crew import Strike
from tests.chaos.faults import Faults
from tests.chaos.handing_in import HandingIn
from tests.chaos.installing import Reached, fresh_on
from tests.chaos.network import Network, NotAllowed
from tests.chaos.processes import Settings, context, settings_of
from tests.chaos.sink import Dot, Journal, Manners
from tests.chaos.tenants import Tenant
from tests.chaos.verdict import judge
from tests.ledger import Ledger

RECOVERED_WITHIN = 90.0
_DATABASE, _CUT_OFF, _OTHER = "database", "one", "two"
_OWN, _SHARED, _CROWD = ("globex", "initech", "hooli"), ("acme", "wayne"), 200
_SMTP_PORT = 2525
_LATENCY = 0.02
_PORTION = 20
_ENDS_WITHIN = 30.0
# What a machine that is there again finishes in.
_PATIENCE = 120.0
_CAUGHT_WITHIN = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.two_machines", description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("--mails", type=int, default=400)
    parser.add_argument("--away", type=float, default=180.0, help="seconds without a network")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ahead", type=float, default=600.0, help="seconds that its clock is fast")
    chosen = parser.parse_args()
    if chosen.away < RECOVERED_WITHIN:
        parser.error(f"--away: everything may take {RECOVERED_WITHIN:.0f} s to recover")
    try:
        with network.made([_DATABASE, _CUT_OFF, _OTHER]) as made:
            wrong = _run(made, chosen)
    except NotAllowed as problem:
        _say(f"This machine cannot make networks of its own: {problem}.")
        sys.exit(2)
    _say(*(f"  WRONG         {one}" for one in wrong))
    _say("  Every promise was kept." if not wrong else f"  {len(wrong)} things are wrong.")
    sys.exit(1 if wrong else 0)


def _run(made: Network, chosen: argparse.Namespace) -> list[str]:
    being_there = partial(made.being_on, _DATABASE)
    with (
        fresh_on(made.addresses[_DATABASE], network.SUBNET, being_there) as installed,
        installed.app.app_context(),
        _scene(installed, made, chosen) as scene,
    ):
        return scene.play(chosen.mails, chosen.away)


@dataclass
class _Scene:
    network: Network
    tenants: list[Tenant]
    handing_in: HandingIn
    journals: Sequence[Journal]
    workers: dict[str, BaseProcess]
    wrong: list[str] = field(default_factory=list)

    def play(self, mails: int, away: float) -> list[str]:
        strike, at = self._cut_off_in_a_transaction(mails)
        self._wait_for_recovery(at, away)
        kept = watching.snapshot()
        self._let_it_come_back(kept)
        return [*self.wrong, *self._end(strike)]

    def _cut_off_in_a_transaction(self, mails: int) -> tuple[Strike, float]:
        """The machine is cut off again and again, for a moment, until that met a transaction."""
        victim = self.workers[_CUT_OFF]
        tries, until = 0, time.monotonic() + _CAUGHT_WITHIN
        self.handing_in.ask(mails)
        while True:
            tries += 1
            self.handing_in.wait(but=mails // 2)
            watching.until_it_writes(victim)
            self.network.unplug(_CUT_OFF)
            at = time.monotonic()
            time.sleep(1.0)
            if held := watching.locks_of(victim):
                break
            if time.monotonic() > until:
                self.wrong.append("no transaction was met: nothing is proved")
                break
            self.network.plug_in(_CUT_OFF)
            self.handing_in.ask(_PORTION)
        self.handing_in.wait()
        strike = watching.strike_at(victim)
        _say(
            f"  cut off       at try {tries}, in {held} open transactions, with {strike.held} "
            f"claimed mails, {len(strike.standing)} of them between final dot and commit"
        )
        return strike, at

    def _wait_for_recovery(self, cut_at: float, away: float) -> None:
        victim = self.workers[_CUT_OFF]
        unlocked = finished = None
        while time.monotonic() < cut_at + away:
            passed = time.monotonic() - cut_at
            if unlocked is None and not watching.locks_of(victim):
                unlocked = passed
                _say(f"  locks         gone after {passed:.0f} s")
            if finished is None and not (left := watching.unfinished()):
                finished = passed
                _say(f"  recovered     everything after {passed:.0f} s")
            time.sleep(0.5)
        if unlocked is None:
            self.wrong.append(f"its transaction is still open after {away:.0f} s")
        if finished is None:
            self.wrong.append(f"{left} mails still wait after {away:.0f} s: {watching.standing()}")
        elif finished > RECOVERED_WITHIN:
            self.wrong.append(f"everything recovered after {finished:.0f} s only")

    def _let_it_come_back(self, kept: Mapping[Any, Any]) -> None:
        victim = self.workers[_CUT_OFF]
        self.network.plug_in(_CUT_OFF)
        back = time.monotonic()
        at = db.session.execute(select(func.clock_timestamp())).scalar_one()
        db.session.rollback()
        lives = listens = None
        while time.monotonic() < back + RECOVERED_WITHIN and not (lives and listens):
            passed = time.monotonic() - back
            lives = lives or (watching.heartbeat(victim) > at and passed)
            listens = listens or (watching.listens(victim, at) and passed)
            time.sleep(0.2)
        if not lives or not listens:
            self.wrong.append("the machine that came back does not work or does not listen")
        else:
            _say(f"  came back     works after {lives:.0f} s, listens anew after {listens:.0f} s")
        now = watching.snapshot()
        for delivery_id, before in kept.items():
            if before != now[delivery_id]:
                self.wrong.append(f"{delivery_id}: was {before}, is {now[delivery_id]}")
        self._send_again()

    def _send_again(self) -> None:
        before = len(self.journals[0].read())
        self.handing_in.ask(_PORTION * 5)
        self.handing_in.wait()
        until = time.monotonic() + _PATIENCE
        while watching.unfinished() and time.monotonic() < until:
            time.sleep(0.2)
        _say(f"  afterwards    it sent {len(self.journals[0].read()) - before} of {_PORTION * 5}")

    def _end(self, strike: Strike) -> list[str]:
        left = watching.unfinished()
        for process in self.workers.values():
            process.terminate()
        for process in self.workers.values():
            process.join(_ENDS_WITHIN)
        codes = [process.exitcode for process in self.workers.values()]
        dots: list[Dot] = [dot for journal in self.journals for dot in journal.read()]
        ledger = Ledger({tenant.id: tenant.from_address for tenant in self.tenants})
        for promise in self.handing_in.promises:
            ledger.promised[promise.delivery_id] = (promise.message_id, promise.recipient)
        verdict = judge(ledger, Faults(strikes=[strike], dots=dots))
        states = ", ".join(f"{count} {state}" for state, count in sorted(verdict.states.items()))
        _say(
            f"  promised      {verdict.promised} mails: {states}",
            f"  copies        {verdict.copies}, {verdict.extra_copies} extra ones, where "
            f"{len(strike.standing)} may be",
        )
        wrong = list(verdict.wrong)
        if left:
            wrong.append(f"{left} deliveries came to no end")
        if any(codes):
            wrong.append(f"the workers ended with {codes}")
        return wrong


@contextmanager
def _scene(installed: Reached, made: Network, chosen: argparse.Namespace) -> Iterator[_Scene]:
    config: Config = installed.app.extensions["config"]
    settings = settings_of(config)
    found = tenants.found(_OWN, _SHARED, _SMTP_PORT, crowds=dict.fromkeys(_SHARED, _CROWD))
    with ExitStack() as stack:
        journals = []
        workers = {}
        for machine, ahead in ((_CUT_OFF, chosen.ahead), (_OTHER, 0.0)):
            enter = partial(made.enter, machine)
            path = installed.folder / f"{machine}.jsonl"
            journals.append(stack.enter_context(Journal(path)))
            manners = Manners(latency=_LATENCY)
            stack.enter_context(sink.running(path, manners, port=_SMTP_PORT, enter=enter))
            theirs = {
                **settings,
                "PORTAL_DATABASE_URL": installed.remote_url,
                "PORTAL_DATA_DIR": str(installed.folder / machine),
            }
            workers[machine] = stack.enter_context(_working(enter, ahead, theirs))
        hands = stack.enter_context(handing_in.running(settings, found, api=None, seed=chosen.seed))
        yield _Scene(made, found, hands, journals, workers)


@contextmanager
def _working(enter: Callable[[], None], ahead: float, settings: Settings) -> Iterator[BaseProcess]:
    process = context.Process(target=_work, args=(enter, ahead, settings), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _work(enter: Callable[[], None], ahead: float, settings: Settings) -> None:
    enter()
    with time_machine.travel(utcnow() + timedelta(seconds=ahead)):
        crew.work(settings)


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
