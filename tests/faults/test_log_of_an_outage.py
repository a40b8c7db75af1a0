"""What the portal says while PostgreSQL is away: few lines, each of them a JSON object."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conftest import migrate
from tests.faults.crashing_postgres import CrashingPostgres
from tests.portal.cli.commands import Running, run, wait_until

# Many tries long.
OUTAGE = 3.0
# Seconds after which an outage that lasts is told again.
AGAIN_AFTER = 10
AWAY, BACK = "database unavailable", "database available again"


@pytest.fixture
def server() -> Iterator[CrashingPostgres]:
    server = CrashingPostgres(migrate)
    yield server
    server.close()


def are_at_work(url: str, *tables: str) -> bool:
    with psycopg.connect(url) as connection:
        rows = [connection.execute(f"SELECT 1 FROM {table}").fetchone() for table in tables]
    return None not in rows


@pytest.mark.xdist_group("crashing postgresql")
def test_each_role_says_seldom_that_the_database_is_away_and_once_that_it_is_back(
    server: CrashingPostgres, tmp_path: Path
) -> None:
    url = server.copy(tmp_path).url
    settings = {
        "PORTAL_DATABASE_URL": url,
        "PORTAL_DATA_DIR": str(tmp_path / "data"),
        "PORTAL_LOG_FORMAT": "json",
    }
    with Running(settings, tmp_path, "up", "--port", "0") as portal:
        portal.wait_for("Set it up here")
        # These two ask by themselves, the pages when they are asked.
        wait_until(lambda: are_at_work(url, "workers", "heartbeats"), or_say=lambda: portal.console)
        with server.away():
            started = run(settings, "jobs")
            threading.Event().wait(OUTAGE)
        wait_until(lambda: portal.console.count(BACK) >= 2, or_say=lambda: portal.console)
    said = [json.loads(line) for line in portal.console.splitlines()]
    away = [line for line in said if line["event"] == AWAY]
    back = [line for line in said if line["event"] == BACK]
    # A busy machine may take longer over it than the time after which it is told again.
    most = sum(1 + line["seconds"] // AGAIN_AFTER for line in back)
    assert len(back) == 2 <= len(away) <= most, portal.console
    assert not [line for line in portal.console.splitlines() if "Traceback" in line]
    assert started.returncode == 1 and not started.stdout
    (refused,) = started.stderr.splitlines()
    assert "Check PORTAL_DATABASE_URL and that the server runs." in json.loads(refused)["event"]
