"""`portal up` as real processes."""

import json
import os
import re
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.portal.cli.commands import Running, free_port, is_free, lives, run, wait_until

pytestmark = pytest.mark.xdist_group("processes")
ROLES = ("web", "worker", "jobs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up")


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def portal(folder: Path, port: int) -> Iterator[Running]:
    """One portal for the tests that leave it running; it must end with code 0."""
    settings = {"PORTAL_DATA_DIR": str(folder / "data")}
    with Running(settings, folder, "up", "--port", str(port)) as running:
        running.wait_for("Set it up here")
        yield running


def status_of(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as answer:
        status: int = answer.status
    return status


def answers(url: str) -> bool:
    try:
        return status_of(url) == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def test_up_serves_says_where_and_links_to_the_set_up(portal: Running, port: int) -> None:
    address = f"http://127.0.0.1:{port}"
    assert status_of(f"{address}/health/ready") == 200
    assert f"Gatepost runs at {address}." in portal.console
    link = re.search(rf"{re.escape(address)}/set-up/\S+", portal.console)
    assert link, portal.console
    assert status_of(link.group()) == 200


def test_up_names_the_keys_that_it_made(portal: Running, folder: Path) -> None:
    for name in ("encryption-keys", "secret-key"):
        made = folder / "data" / name
        assert f"Made {made}." in portal.console
        assert made.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("role", ROLES)
def test_a_killed_child_comes_back(portal: Running, port: int, role: str) -> None:
    first = portal.child(role)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_until(
        lambda: portal.child(role) not in (None, first),
        or_say=lambda: f"{role} did not come back:\n{portal.console}",
    )
    assert re.search(
        rf"portal {role}( 1)? ended \(signal SIGKILL\); it starts again in \d s\.", portal.console
    )
    # A connection may still fall to a process of the killed one that is ending.
    wait_until(
        lambda: answers(f"http://127.0.0.1:{port}/health/live"),
        or_say=lambda: f"no answer after {role} was killed:\n{portal.console}",
    )


def test_what_is_too_long_for_the_server_is_told_in_a_problem_document(
    portal: Running, port: int
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        status_of(f"http://127.0.0.1:{port}/api/v1/organizations?cursor={'x' * 5000}")
    assert refused.value.code == 414
    assert refused.value.headers["Content-Type"] == "application/problem+json"
    document = json.load(refused.value)
    assert document["status"] == 414 and "4,094 bytes" in document["detail"]


def test_who_sends_too_large_a_body_whole_reads_the_answer(portal: Running, port: int) -> None:
    body = b"a" * 9_000_000
    head = f"POST /sign-in HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
        caller.sendall(head.encode() + body)
        answer = caller.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.0 413 "), answer[:200]
    assert b"</html>" in answer[-20:]


def test_a_taken_port_is_told_in_one_line(portal: Running, port: int, tmp_path: Path) -> None:
    second = run({"PORTAL_DATA_DIR": str(tmp_path / "data")}, "up", "--port", str(port))
    assert second.returncode == 1
    assert second.stderr.splitlines() == [
        f"Error: Port {port} on 127.0.0.1 is taken by another program. Stop that program, "
        f"or choose another port: portal up --port {port + 1}"
    ]
    assert not (tmp_path / "data").exists()


def test_ctrl_c_ends_every_process_and_frees_the_port(tmp_path: Path) -> None:
    port = free_port()
    settings = {"PORTAL_DATA_DIR": str(tmp_path / "data")}
    with Running(settings, tmp_path, "up", "--port", str(port), "--workers", "2") as portal:
        portal.wait_for("Set it up here")
        children = portal.children()
        assert len(children) == 4
        assert portal.stop(signal.SIGINT) == 0
        assert portal.console.endswith("Gatepost has stopped.\n")
        assert "was killed" not in portal.console
    assert not [pid for pid in children if lives(pid)]
    assert is_free(port)


def test_children_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    port = free_port()
    settings = {"PORTAL_DATA_DIR": str(tmp_path / "data")}
    portal = Running(settings, tmp_path, "up", "--port", str(port))
    portal.wait_for("Set it up here")
    children = portal.children()
    assert len(children) == len(ROLES)
    portal.stop(signal.SIGKILL)
    wait_until(
        lambda: not [pid for pid in children if lives(pid)],
        or_say=lambda: f"still alive: {children}",
    )
    wait_until(lambda: is_free(port), or_say=lambda: f"port {port} is still taken")
