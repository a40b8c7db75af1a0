"""A run: mail is handed in, workers are killed and connections dropped, until all has happened
and everything that was promised has come to its end."""

import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from portal.config import Config
from portal.database import reading_only
from portal.delivery.models import Delivery, State
from portal.extensions import db
from tests.chaos import crew, handing_in, sink, tenants, web
from tests.chaos.crew import Crew
from tests.chaos.faults import Faults
from tests.chaos.handing_in import BrokeOff, HandingIn
from tests.chaos.processes import settings_of
from tests.chaos.sink import Fate, Journal, Manners
from tests.chaos.tenants import Tenant
from tests.chaos.verdict import Verdict, judge
from tests.delivering import hurry
from tests.ledger import OVER, Ledger

OWN = ("globex", "initech", "hooli", "umbrella", "stark")
SHARED = ("acme", "wayne", "wonka")
_CROWD = 40
# From a final dot to its reply: long enough for a kill to meet some.
_LATENCY = 0.04
_STEP = 0.01
_WAIT_FOR_DOTS = 5.0


@dataclass(frozen=True)
class Plan:
    """`silent`: this share of the kills is told to nobody, so that leases run out. `in_a_hurry`:
    retries need not wait for their time. `patience`: seconds from the last fault to the end."""

    mails: int = 10_000
    kills: int = 200
    drops: int = 200
    restarts: int = 5
    workers: int = 3
    seed: int = 1
    silent: float = 0.05
    by_api: bool = True
    in_a_hurry: bool = False
    patience: float = 300.0


@dataclass(frozen=True)
class Outcome:
    """What happened, what became of it, and the exit codes of the workers at the end."""

    faults: Faults
    verdict: Verdict
    seconds: float
    wrong: tuple[str, ...]


def run(app: Flask, folder: Path, plan: Plan, restart: Callable[[], None] | None = None) -> Outcome:
    """Needs a fresh installation. `folder` takes the journal of the sink; `restart` takes the
    database away and brings it back."""
    began = time.monotonic()
    with app.app_context(), _scene(app, folder, plan) as scene:
        faults = Faults()
        wrong = scene.strike(faults, restart)
        unfinished = scene.until_all_is_over()
        codes = scene.crew.end()
        faults.dots = scene.journal.read()
        verdict = judge(scene.ledger(), faults)
    wrong += verdict.wrong
    if unfinished:
        wrong.append(f"{unfinished} deliveries came to no end")
    if any(codes) or scene.crew.fallen:
        wrong.append(f"workers ended with {codes}, earlier ones with {scene.crew.fallen}")
    if len(faults.drops) != plan.drops:
        wrong.append(f"{len(faults.drops)} connections dropped, not {plan.drops}")
    return Outcome(faults, verdict, time.monotonic() - began, tuple(wrong))


@dataclass
class _Scene:
    plan: Plan
    tenants: list[Tenant]
    crew: Crew
    handing_in: HandingIn
    journal: Journal

    def strike(self, faults: Faults, restart: Callable[[], None] | None) -> list[str]:
        """Do what was planned and write it down in `faults`; what it broke off for, if it did."""
        try:
            self._strike(faults, restart)
        except (BrokeOff, SQLAlchemyError, subprocess.SubprocessError) as problem:
            db.session.rollback()
            said = " ".join(str(problem).split())
            return [f"the run broke off after {len(faults.strikes)} kills: {said}"]
        return []

    def _strike(self, faults: Faults, restart: Callable[[], None] | None) -> None:
        """Hand in a portion, let a part of it pass, kill: as often as it was planned."""
        chance = random.Random(self.plan.seed)
        restarts = chance.sample(range(self.plan.kills), self.plan.restarts) if restart else []
        portion, rest = divmod(self.plan.mails, self.plan.kills)
        for turn in range(self.plan.kills):
            self.handing_in.ask(portion + (rest if turn == 0 else 0))
            # A busy database must not let the kills run ahead of the mail.
            self.handing_in.wait(but=portion)
            self._let_pass(chance.randint(1, portion))
            time.sleep(chance.uniform(0, _LATENCY))
            if restart is not None and turn in restarts:
                restart()
                faults.restarts += 1
            tell = chance.random() >= self.plan.silent
            faults.strikes.append(self.crew.kill(chance, tell=tell))
        self.handing_in.wait()

    def until_all_is_over(self) -> int:
        """How many deliveries are still on their way when patience ends."""
        until = time.monotonic() + self.plan.patience
        while (left := _unfinished()) and time.monotonic() < until:
            if self.plan.in_a_hurry:
                hurry()
            time.sleep(0.2)
        return left

    def ledger(self) -> Ledger:
        ledger = Ledger({tenant.id: tenant.from_address for tenant in self.tenants})
        for promise in self.handing_in.promises:
            ledger.promised[promise.delivery_id] = (promise.message_id, promise.recipient)
        return ledger

    def _let_pass(self, dots: int) -> None:
        enough = len(self.journal.read()) + dots
        until = time.monotonic() + _WAIT_FOR_DOTS
        while len(self.journal.read()) < enough and time.monotonic() < until:
            time.sleep(_STEP)


@contextmanager
def _scene(app: Flask, folder: Path, plan: Plan) -> Iterator[_Scene]:
    config: Config = app.extensions["config"]
    settings = settings_of(config)
    with ExitStack() as stack:
        path = folder / "sink.jsonl"
        journal = stack.enter_context(Journal(path))
        manners = Manners(drops=_drops(plan), latency=_LATENCY)
        port = stack.enter_context(sink.running(path, manners))
        found = tenants.found(OWN, SHARED, port, crowds=dict.fromkeys(SHARED, _CROWD))
        api = stack.enter_context(web.running(settings)) if plan.by_api else None
        hands = stack.enter_context(handing_in.running(settings, found, api=api, seed=plan.seed))
        workers = stack.enter_context(crew.working(settings, plan.workers))
        yield _Scene(plan, found, workers, hands, journal)


def _drops(plan: Plan) -> dict[int, Fate]:
    chance = random.Random(plan.seed)
    numbers = chance.sample(range(plan.mails), plan.drops)
    return {number: chance.choice([Fate.TAKEN, Fate.LOST]) for number in numbers}


def _unfinished() -> int:
    db.session.rollback()
    reading_only(True)
    try:
        on_its_way = Delivery.state.not_in([*OVER, State.SUPPRESSED])
        return db.session.scalar(select(func.count()).where(on_its_way)) or 0
    finally:
        db.session.rollback()
        reading_only(False)
