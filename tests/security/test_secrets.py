"""A canary in each place where a secret goes in: it comes out nowhere but in the mail that it is
for, and on the page that shows it once."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from portal import keys
from portal.app import create_app
from portal.extensions import db
from tests.conftest import config_for
from tests.databases import Database, EngineName, Template
from tests.running import PORTAL
from tests.security.planting import spellings
from tests.security.tables import dump

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Planted:
    """What the process did: its secrets, all answers, its console, and where it stored things."""

    secrets: Mapping[str, str]
    answers: Mapping[str, str]
    console: bytes
    database: Database
    data_dir: Path

    def leaks(self, where: str, content: bytes) -> list[str]:
        """Which secrets stand in the content, in any spelling."""
        return [
            f"{where} holds {name}"
            for name, secret in self.secrets.items()
            if any(spelling in content for spelling in spellings(secret))
        ]


@pytest.fixture(scope="module")
def planted(
    shared_engine: EngineName,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Planted]:
    template: Template = request.getfixturevalue(f"{shared_engine}_template")
    folder = tmp_path_factory.mktemp("planted")
    database = template.copy(folder)
    result = folder / "result.json"
    command = [sys.executable, "-m", "tests.security.planting"]
    run = subprocess.run(
        [*command, database.url, str(folder / "data"), str(result)],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, (run.stdout + run.stderr)[-4000:].decode()
    found = json.loads(result.read_text())
    result.unlink()
    console = run.stdout + run.stderr
    yield Planted(found["secrets"], found["answers"], console, database, folder / "data")
    template.drop(database)


def test_the_search_would_find_a_secret(planted: Planted) -> None:
    """Every kind was planted, everyone was asked, and something was logged."""
    kinds = " ".join(planted.secrets)
    for kind in ("password", "token", "invitation", "recovery", "decision", "approve_url"):
        assert kind in kinds, kind
    assert len(planted.answers) > 300
    for name, secret in planted.secrets.items():
        assert len(secret) > 15, name
        assert planted.leaks("here", f"x{secret}x".encode()), name


def test_no_page_and_no_call_shows_a_secret(planted: Planted) -> None:
    leaks = [
        leak
        for where, answer in planted.answers.items()
        for leak in planted.leaks(where, answer.encode())
    ]
    assert not leaks, "\n".join(leaks)


def test_no_table_holds_a_secret(planted: Planted) -> None:
    app = create_app(config_for(planted.database, planted.data_dir))
    keys.ensure(app)
    tables = dump(app, without={})
    with app.app_context():
        db.engine.dispose()
    assert tables["deliveries"] and tables["audit_entries"] and tables["delivery_secrets"]
    leaks = [
        leak for name, rows in tables.items() for leak in planted.leaks(name, repr(rows).encode())
    ]
    assert not leaks, "\n".join(leaks)


def test_no_file_holds_a_secret(planted: Planted) -> None:
    """The database with its write-ahead log, byte by byte, deleted rows too."""
    files = [file for file in planted.data_dir.rglob("*") if file.is_file()]
    if planted.database.engine is EngineName.SQLITE:
        database = Path(planted.database.url.removeprefix("sqlite:///"))
        files += [file for file in database.parent.glob(f"{database.name}*") if file.is_file()]
        assert database in files
    leaks = [leak for file in files for leak in planted.leaks(str(file), file.read_bytes())]
    assert not leaks, "\n".join(leaks)


def test_the_log_holds_no_secret(planted: Planted) -> None:
    """Nor an address: there were failures of every kind, and they were logged."""
    assert b"database unavailable" in planted.console or b"unforeseen" in planted.console
    assert not planted.leaks("the log", planted.console)
    assert b"@" not in planted.console


def test_the_export_holds_no_secret(planted: Planted) -> None:
    config = config_for(planted.database, planted.data_dir)
    key_id, key = config.encryption_keys[0]
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(_ROOT),
        "PORTAL_DATABASE_URL": planted.database.url,
        "PORTAL_DATA_DIR": str(planted.data_dir),
        "PORTAL_SECRET_KEY": config.secret_key or "",
        "PORTAL_ENCRYPTION_KEYS": f"{key_id}:{key}",
    }
    run = subprocess.run(
        [str(PORTAL), "export"], env=environment, capture_output=True, timeout=60, check=True
    )
    assert b"platform" in run.stdout
    assert not planted.leaks("the export", run.stdout + run.stderr)
