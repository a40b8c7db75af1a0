"""The short form of `make chaos`."""

from pathlib import Path

from flask import Flask

from tests.chaos.campaign import Plan, run
from tests.databases import PostgresTemplate, Template

PLAN = Plan(
    mails=300,
    kills=2,
    drops=6,
    restarts=1,
    workers=2,
    silent=0.0,
    by_api=False,
    in_a_hurry=True,
)


def test_workers_are_killed_and_connections_dropped_and_every_promise_is_kept(
    app: Flask, tmp_path: Path, template: Template
) -> None:
    restart = template.restart_at_once if isinstance(template, PostgresTemplate) else None
    outcome = run(app, tmp_path, PLAN, restart)
    assert outcome.wrong == ()
    assert outcome.verdict.promised == 300
    assert len(outcome.faults.strikes) == 2
