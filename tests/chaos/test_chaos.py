"""The short form of `make chaos`."""

from pathlib import Path

from flask import Flask

from tests.chaos.campaign import Plan, run

PLAN = Plan(mails=300, kills=6, drops=6, workers=2, silent=0.0, by_api=False, in_a_hurry=True)


def test_workers_are_killed_and_connections_dropped_and_every_promise_is_kept(
    app: Flask, tmp_path: Path
) -> None:
    outcome = run(app, tmp_path, PLAN)
    assert outcome.wrong == ()
    assert outcome.verdict.promised == PLAN.mails
    assert len(outcome.faults.strikes) == PLAN.kills
