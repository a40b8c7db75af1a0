"""What a demo in good health does not show: a sender that fails and holds its mail, mail that waits
for a sender's limits with an estimate of its end, and mail that is held since a restore."""

import time
from collections.abc import Callable
from pathlib import Path
from string import Template

from sqlalchemy import func, select

from portal.audit.log import Actor, ActorType
from portal.cli import application, apply
from portal.cli.settings_file import document, shape
from portal.config import Config
from portal.database import reading_only
from portal.delivery import restoring
from portal.delivery.health import SENDER_FAILING
from portal.delivery.models import Delivery, State
from portal.extensions import db
from portal.identity import organizations
from portal.notifications import alerts
from portal.settings import effective
from portal.settings.models import VersionState
from portal.settings.scope import HOST

# Nothing listens at `dead`; `alive` is the platform's mail catcher.
_SETTINGS = Template("""
host:
  allowed_destinations: $allowed
organizations:
  - slug: initech
    name: Initech
    mail: {mode: own, default_sender: plant, title_prefix: "[Initech]"}
    senders:
      - {name: plant, display_name: Initech Plant, from_address: alerts@initech.test,
         server: 127.0.0.1, port: $dead, encryption: none, authentication: none}
    members:
      - {email: ines@initech.test, name: Ines Iqbal, role: administrator, password_file: people.pw}
    routing: [{category: alert, minimum_severity: warning, audience: ["role:administrator"]}]
  - slug: hooli
    name: Hooli
    mail: {mode: own, default_sender: metered, title_prefix: "[Hooli]"}
    senders:
      - {name: metered, display_name: Hooli Alerts, from_address: alerts@hooli.test,
         server: 127.0.0.1, port: $alive, encryption: none, authentication: none, per_minute: 6}
    members:
      - {email: hugo@hooli.test, name: Hugo Holm, role: administrator, password_file: people.pw}
    routing: [{category: alert, minimum_severity: warning, audience: ["role:administrator"]}]
""")
_ROOMS = Actor(ActorType.SYSTEM, name="Machine rooms")
_PATIENCE = 60.0


def make(folder: Path, base_url: str, dead_port: str) -> None:
    """Bring the running demo whose data lie in that folder into these troubles."""
    settings = {"PORTAL_DATA_DIR": str(folder / "data"), "PORTAL_BASE_URL": base_url}
    app = application.upgraded(Config.from_environment(settings))
    with app.app_context():
        file = folder / "troubles.yaml"
        file.write_text(_settings(dead_port), encoding="utf-8")
    # Whoever calls may have looked at pages, which only read, in this thread.
    reading_only(False)
    apply.carry_out(app, document.read(file, shape.FILE), file)
    with app.app_context():
        _raise("initech", 3)
        _until(lambda: _count("initech", State.HELD, SENDER_FAILING) == 3)
        restoring.hold_waiting()
        db.session.commit()
        _raise("initech", 5)
        _raise("hooli", 90)
        _until(lambda: _count("initech", State.HELD, SENDER_FAILING) == 5)
        _until(lambda: _count("hooli", State.ACCEPTED) >= 6)


def _settings(dead_port: str) -> str:
    sender = effective.default_sender(HOST)
    version = effective.version_of(sender, VersionState.ACTIVE) if sender else None
    assert version is not None, "the demo's platform has a sender"
    allowed = {
        *effective.settings_of(HOST).allowed_destinations,
        f"127.0.0.1:{version.port}",
        f"127.0.0.1:{dead_port}",
    }
    return _SETTINGS.substitute(allowed=sorted(allowed), dead=dead_port, alive=version.port)


def _raise(slug: str, number: int) -> None:
    organization = organizations.by_slug(slug)
    assert organization is not None
    for room in range(number):
        title = f"Machine room {room + 1} is at {31 + room % 9} °C"
        said = alerts.parse_raise(title=title, severity="error", text="The cooling has stopped.")
        alerts.raise_alert(organization, said, actor=_ROOMS)
    db.session.commit()


def _count(slug: str, state: State, reason: str | None = None) -> int:
    organization = organizations.by_slug(slug)
    assert organization is not None
    mine = select(func.count()).select_from(Delivery)
    mine = mine.where(Delivery.organization_id == organization.id, Delivery.state == state)
    return db.session.scalar(mine.where(Delivery.reason == reason) if reason else mine) or 0


def _until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + _PATIENCE
    reading_only(True)
    while not is_so():
        db.session.rollback()
        if time.monotonic() > until:
            raise SystemExit("The demo did not come into these troubles.")
        time.sleep(0.2)
    db.session.rollback()
    reading_only(False)
