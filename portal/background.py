"""Periodic work in `portal jobs` (Huey): what ends by time alone.

Huey loses a job when a process is killed and runs periodic jobs in every consumer, so each one
here may run twice or not at all and the next run makes up for it.
"""

from datetime import timedelta
from pathlib import Path

from flask import Flask
from huey import Huey, PostgresHuey, SqliteHuey, crontab
from huey.serializer import SignedSerializer
from sqlalchemy import Delete, delete, select

from portal import jobs
from portal.clock import utcnow
from portal.config import Config
from portal.database import client_options
from portal.delivery.lease_clock import lease_now
from portal.delivery.models import Delivery, State, Worker
from portal.extensions import db
from portal.identity.models import AccountLink, SignInAttempt, SignInSession
from portal.notifications import approvals, credential_expiry, sender_health
from portal.notifications.models import IdempotentAnswer
from portal.settings.models import PassedTest, SecretDraft, TestRun

ROLE = "jobs"
_DAY = timedelta(days=1)


def make_huey(config: Config, secret_key: str) -> Huey:
    """The queue of background jobs: a file of its own beside SQLite, or tables in PostgreSQL."""
    serializer = SignedSerializer(secret=secret_key)
    if config.is_sqlite:
        path = Path(config.data_dir) / "jobs.sqlite3"
        return SqliteHuey("gatepost", filename=str(path), serializer=serializer, results=False)
    url = config.database_url.replace("postgresql+psycopg://", "postgresql://", 1)
    return PostgresHuey(
        "gatepost", dsn=url, serializer=serializer, results=False, **client_options(url)
    )


def register(huey: Huey, app: Flask) -> None:
    """Bind the periodic jobs to an application."""

    def say_that_jobs_run() -> None:
        with app.app_context():
            jobs.beat(ROLE, lease_now())

    huey.on_startup()(say_that_jobs_run)
    huey.periodic_task(crontab(minute="*"))(say_that_jobs_run)

    @huey.periodic_task(crontab(minute="*"))
    def expire_approvals() -> None:
        with app.app_context():
            approvals.expire_due()

    @huey.periodic_task(crontab(minute="*"))
    def tell_of_sender_health() -> None:
        with app.app_context():
            sender_health.tell()

    @huey.periodic_task(crontab(minute="7"))
    def tell_of_credentials_that_expire() -> None:
        with app.app_context():
            credential_expiry.tell()

    @huey.periodic_task(crontab(minute="17"))
    def forget_what_is_over() -> None:
        with app.app_context():
            forget()


def forget() -> None:
    """Delete rows that only mattered for a while, and commit."""
    now = utcnow()
    for statement in (
        delete(SecretDraft).where(SecretDraft.expires_at < now),
        delete(PassedTest).where(PassedTest.at < now - _DAY),
        delete(TestRun).where(TestRun.at < now - _DAY),
        delete(SignInAttempt).where(SignInAttempt.at < now - _DAY),
        delete(SignInSession).where(SignInSession.last_seen_at < now - 30 * _DAY),
        delete(AccountLink).where(AccountLink.expires_at < now - 30 * _DAY),
        delete(IdempotentAnswer).where(IdempotentAnswer.created_at < now - 2 * _DAY),
        _of_gone_workers(),
    ):
        db.session.execute(statement)
    db.session.commit()


def _of_gone_workers() -> Delete:
    """Those that ended, or said nothing, for a day. One that still owns mail stays until that has
    recovered: its row tells which letters it was writing."""
    owners = select(Delivery.lease_owner).where(
        Delivery.state == State.SENDING, Delivery.lease_owner.is_not(None)
    )
    silent = Worker.heartbeat_at < lease_now() - _DAY
    return delete(Worker).where(silent, Worker.id.not_in(owners))
