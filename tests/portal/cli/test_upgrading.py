"""Roles of one version on tables of another: newer ones serve, older ones are waited for."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, text

from portal.app import create_app
from portal.cli import database
from portal.config import Config
from portal.web import upgrading
from tests.databases import Database, EngineName
from tests.page_rules import broken, parse
from tests.portal.cli.commands import Running, free_port, invoke, wait_until

POSTGRESQL = pytest.mark.parametrize("engine_name", [EngineName.POSTGRESQL], ids=["postgresql"])
_OLDER, _NEWER = "0005", "9999"


@POSTGRESQL
def test_roles_that_meet_older_tables_say_so_until_they_are_upgraded(
    empty_database: Database, tmp_path: Path
) -> None:
    settings = settings_for(empty_database, tmp_path)
    older(settings)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with (
        Running(settings, tmp_path, "worker") as worker,
        Running(settings, tmp_path, "web", "--port", str(port)) as web,
    ):
        for role in (worker, web):
            role.wait_for(f"The database is at {_OLDER}, this version needs ")
            assert "Waiting until somebody has run: portal db upgrade" in role.console
        web.wait_for("Listening on")
        wait_until(lambda: fetch(f"{address}/health/live")[0] == 200, or_say=lambda: web.console)
        status, body = fetch(f"{address}/health/ready")
        assert (status, json.loads(body)["faults"]) == (503, ["schema"])
        status, page = fetch(f"{address}/sign-in")
        assert status == 503
        assert "The database must be upgraded first" in page
        status, body = fetch(f"{address}/api/v1/alerts")
        assert (status, json.loads(body)["title"]) == (503, "The database must be upgraded first")

        assert invoke(settings, "db", "upgrade").exit_code == 0
        worker.wait_for("The database was upgraded.")
        wait_until(lambda: fetch(f"{address}/health/ready")[0] == 200, or_say=lambda: web.console)
        assert fetch(f"{address}/sign-in")[0] == 200


@POSTGRESQL
def test_the_page_that_says_so_is_like_every_page(app: Flask, client: FlaskClient) -> None:
    upgraded = [False, True]
    upgrading.hold_back(app, lambda: upgraded.pop(0))
    answer = client.get("/sign-in")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert broken(app, answer, parse(answer)) == []
    assert client.get("/static/vendor/vendor.toml").status_code == 200
    assert client.get("/sign-in").status_code == 503, "it does not ask at each request"


@POSTGRESQL
def test_a_version_goes_on_with_the_tables_of_a_newer_one(
    settings: dict[str, str], tmp_path: Path
) -> None:
    query(settings, f"UPDATE alembic_version SET version_num = '{_NEWER}'")
    said = f"The database is at {_NEWER}, newer than this version's "
    made = invoke(settings, "token", "create", "--name", "ci", "--scope", "read")
    assert made.exit_code == 0
    with Running(settings, tmp_path, "worker") as worker:
        worker.wait_for(said)
        wait_until(lambda: query(settings, "SELECT 1 FROM workers"), or_say=lambda: worker.console)
    assert "This version goes on." in worker.console
    for command, cure in (("check", "install the newer one"), ("upgrade", "Only the newer")):
        refused = invoke(settings, "db", command)
        assert refused.exit_code == 1
        assert said in refused.stderr
        assert cure in refused.stderr


def settings_for(found: Database, folder: Path) -> dict[str, str]:
    return {"PORTAL_DATABASE_URL": found.url, "PORTAL_DATA_DIR": str(folder / "data")}


def older(settings: dict[str, str]) -> None:
    """Tables as an earlier version made them."""
    app = create_app(Config.from_environment(settings))
    database.migrate(app, _OLDER)


def query(settings: dict[str, str], statement: str) -> int:
    """How many rows a statement found or changed."""
    url = settings["PORTAL_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    with engine.begin() as connection:
        rows = connection.execute(text(statement)).rowcount
    engine.dispose()
    return rows


def fetch(url: str) -> tuple[int, str]:
    """Status and body; 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except OSError:
        return 0, ""
