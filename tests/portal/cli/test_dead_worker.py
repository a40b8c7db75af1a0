"""A worker that was killed in the middle of a mail: its work is free again before it is back."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from portal import keys
from portal.app import create_app
from portal.audit.log import SYSTEM
from portal.config import Config
from portal.delivery import claims
from portal.delivery.models import AttemptOutcome, Delivery, State
from portal.extensions import db
from portal.identity import organizations
from portal.notifications import alerts
from tests.databases import EngineName
from tests.portal.cli.commands import Running, free_port, invoke, wait_until
from tests.portal.cli.conftest import Write
from tests.smtp_server import SmtpServer, hang

pytestmark = [
    pytest.mark.xdist_group("processes"),
    pytest.mark.parametrize("engine_name", [EngineName.SQLITE]),
]
Settings = dict[str, str]
FILE = """
host:
  senders:
    - {{name: platform, display_name: Platform, from_address: no-reply@acme.test,
       server: 127.0.0.1, port: {port}, encryption: none}}
organizations:
  - {{slug: acme, name: Acme, members: [{{email: ann@acme.test, name: Ann, role: administrator}}]}}
"""


@contextmanager
def opened(settings: Settings) -> Iterator[None]:
    app = create_app(Config.from_environment(settings))
    keys.ensure(app)
    with app.app_context():
        yield
        db.session.remove()
        db.engine.dispose()


def raise_alert(settings: Settings) -> None:
    with opened(settings):
        acme = organizations.by_slug("acme")
        assert acme is not None
        said = alerts.parse_raise(title="Disk full", severity="error")
        alerts.raise_alert(acme, said, actor=SYSTEM)
        db.session.commit()


@pytest.mark.fault(36)
def test_the_mail_of_a_killed_worker_is_released_and_sent_once(
    settings: Settings, write: Write, tmp_path: Path
) -> None:
    with SmtpServer(script={"data": [hang()]}) as server:
        assert invoke(settings, "apply", write(FILE.format(port=server.port))).exit_code == 0
        raise_alert(settings)
        with Running(settings, tmp_path, "up", "--port", str(free_port())) as portal:
            wait_until(lambda: "DATA" in server.commands, or_say=lambda: portal.console)
            dead = portal.child("worker")
            assert dead is not None
            os.kill(dead, signal.SIGKILL)
            wait_until(
                lambda: portal.child("worker") not in (None, dead), or_say=lambda: portal.console
            )
            with opened(settings):
                owner = db.session.scalars(select(Delivery.lease_owner)).one()
                assert not (owner or "").startswith(claims.process_name(dead))
            server.wait_for_messages(1, seconds=30)
            wait_until(lambda: is_accepted(settings), or_say=lambda: portal.console)
        assert len(server.messages) == 1
    with opened(settings):
        delivery = db.session.scalars(select(Delivery)).one()
        outcomes = [attempt.outcome for attempt in delivery.attempts]
        assert outcomes == [AttemptOutcome.RECOVERED, AttemptOutcome.ACCEPTED]
        assert not delivery.may_be_duplicate


def is_accepted(settings: Settings) -> bool:
    with opened(settings):
        return db.session.scalars(select(Delivery.state)).one() is State.ACCEPTED
