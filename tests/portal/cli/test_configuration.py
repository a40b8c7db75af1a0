"""A wrong setting stops every command with one clear line."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.portal.cli.commands import environment, invoke, run

KEY = "k1:" + "A" * 43 + "="
WRONG: dict[str, tuple[dict[str, str], str]] = {
    "a database that is none": (
        {"PORTAL_DATABASE_URL": "mysql://x/y"},
        "PORTAL_DATABASE_URL must look like postgresql://",
    ),
    "a base URL without scheme": (
        {"PORTAL_BASE_URL": "portal.example.com"},
        "PORTAL_BASE_URL is 'portal.example.com'; write the address people type",
    ),
    "a base URL with a port that is none": (
        {"PORTAL_BASE_URL": "http://portal.example.com:port"},
        "PORTAL_BASE_URL is 'http://portal.example.com:port'; write",
    ),
    "a secret key that is short": (
        {"PORTAL_SECRET_KEY": "short"},
        "PORTAL_SECRET_KEY is too short; give at least 32 characters.",
    ),
    "encryption keys without id": (
        {"PORTAL_ENCRYPTION_KEYS": "secret"},
        "PORTAL_ENCRYPTION_KEYS must look like id:base64,id:base64.",
    ),
    "a proxy that is none": (
        {"PORTAL_TRUSTED_PROXIES": "proxy"},
        "PORTAL_TRUSTED_PROXIES: 'proxy' is not an address or network",
    ),
    "a log format that is none": (
        {"PORTAL_LOG_FORMAT": "xml"},
        "PORTAL_LOG_FORMAT is 'xml'; use text or json.",
    ),
    "a setting that is none": ({"PORTAL_BASE_ULR": "x"}, "PORTAL_BASE_ULR is not a setting."),
    "a file that is not there": (
        {"PORTAL_CONFIG": "/nowhere/portal.toml"},
        "PORTAL_CONFIG: /nowhere/portal.toml cannot be read",
    ),
}


@pytest.mark.parametrize(("wrong", "told"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_told_in_one_line(
    tmp_path: Path, wrong: dict[str, str], told: str
) -> None:
    settings = {"PORTAL_DATA_DIR": str(tmp_path / "data"), **wrong}
    refused = invoke(settings, "db", "upgrade")
    assert refused.exit_code == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"Error: {told}")
    assert not refused.stdout


def test_a_wrong_value_stops_the_start(tmp_path: Path) -> None:
    settings = {"PORTAL_DATA_DIR": str(tmp_path), "PORTAL_BASE_URL": "ftp://portal"}
    refused = run(settings, "up", "--port", "0")
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith("Error: PORTAL_BASE_URL is 'ftp://portal'; write")


def test_a_missing_key_stops_the_start(tmp_path: Path) -> None:
    settings = {"PORTAL_DATA_DIR": str(tmp_path)}
    assert invoke(settings, "token", "create", "--name", "a", "--scope", "read").exit_code == 0
    (tmp_path / "encryption-keys").unlink()
    for command in ("web", "worker", "jobs", "up"):
        arguments = (command, "--port", "0") if command in ("web", "up") else (command,)
        refused = invoke(settings, *arguments)
        assert refused.exit_code == 1
        assert refused.stderr.splitlines() == [
            f"Error: The encryption keys are missing: restore {tmp_path}/encryption-keys "
            "or set PORTAL_ENCRYPTION_KEYS."
        ]
    assert not (tmp_path / "encryption-keys").exists()


def test_another_key_than_before_stops_the_start(tmp_path: Path) -> None:
    settings = {"PORTAL_DATA_DIR": str(tmp_path)}
    invoke(settings, "token", "create", "--name", "a", "--scope", "read")
    refused = invoke({**settings, "PORTAL_ENCRYPTION_KEYS": KEY}, "worker")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: Encryption key k")
    assert "is missing: restore" in refused.stderr


def test_a_database_that_cannot_be_reached_is_told_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://gatepost:canary@127.0.0.1:9/gatepost"
    settings = {"PORTAL_DATA_DIR": str(tmp_path), "PORTAL_DATABASE_URL": url}
    refused = invoke(settings, "db", "check")
    assert refused.exit_code == 1
    (line,) = refused.stderr.splitlines()
    assert "Check PORTAL_DATABASE_URL and that the server runs." in line
    assert "canary" not in refused.output


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = invoke({"PORTAL_DATA_DIR": str(tmp_path / "file" / "data")}, "db", "upgrade")
    assert refused.exit_code == 1
    assert refused.stderr == (
        f"Error: PORTAL_DATA_DIR: {tmp_path}/file/data cannot be used (Not a directory). "
        "Name a folder that may be written to.\n"
    )


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "gatepost.sqlite3").write_text("this is a letter to my mother\n" * 100)
    for command in (("db", "upgrade"), ("db", "check"), ("worker",)):
        refused = invoke({"PORTAL_DATA_DIR": str(tmp_path)}, *command)
        assert refused.exit_code == 1
        (line,) = refused.stderr.splitlines()
        assert "cannot be used: file is not a database." in line


def test_the_wsgi_application_is_ready_on_a_migrated_database(tmp_path: Path) -> None:
    settings = {"PORTAL_DATA_DIR": str(tmp_path)}
    invoke(settings, "db", "upgrade")
    say = "import wsgi; print(wsgi.app.test_client().get('/health/ready').status_code)"
    done = subprocess.run(
        [sys.executable, "-c", say],
        cwd=Path(__file__).parents[3],
        env=environment(settings),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "200"


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("up", "--port", "many"),
        ("up", "--workers", "0"),
        ("apply",),
        ("admin", "create"),
        ("token", "create", "--name", "a", "--scope", "everything"),
        ("sender", "test", "main"),
    ],
)
def test_wrong_usage_has_its_own_exit_code(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert invoke({"PORTAL_DATA_DIR": str(tmp_path)}, *arguments).exit_code == 2
    assert not list(tmp_path.iterdir())
