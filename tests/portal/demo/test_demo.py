"""`portal demo` from the command to the mail that can be read."""

import http.cookiejar
import re
import socket
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from portal import caught
from tests.portal.cli.commands import Running, free_port, run

pytestmark = pytest.mark.xdist_group("processes")
ACCEPTED = re.compile(r"^accepted: (\S+) to (\S+) by 127\.0\.0\.1:(\d+)$", re.MULTILINE)


def test_demo_sends_real_mail_and_shows_it(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    # Settings of the operator have nothing to do with the demo, except where it is to listen.
    settings = {
        "PORTAL_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
        "PORTAL_BASE_URL": address,
    }
    with Running(settings, tmp_path, "demo") as demo:
        console = demo.wait_for("Stop with Ctrl-C.")
        folder = Path(found(r"on throw-away data in (\S+)\.$", console))
        accepted = ACCEPTED.findall(console)
        assert {(kind, to) for kind, to, _port in accepted} == {
            ("alert.raised", "alice@acme.test"),
            ("alert.raised", "bob@acme.test"),
            ("approval.requested", "alice@acme.test"),
            ("alert.raised", "carol@globex.test"),
            ("alert.raised", "dave@both.test"),
            ("approval.requested", "carol@globex.test"),
        }
        check_servers(accepted, folder)
        rita = sign_in(address, "rita@platform.test", found(r"the password (\S+) as$", console))
        page = rita.open(f"{address}/host/mail-catcher").read().decode()
        assert "Nightly backup of orders-db failed" in page
    assert "its data was removed" in demo.console
    assert not folder.exists()


def check_servers(accepted: list[tuple[str, str, str]], folder: Path) -> None:
    """What the lines say is what the servers saw; Globex sent by its own, signed in."""
    mails = caught.newest(folder / "data" / "mail-catcher", limit=100)
    seen = {(mail.envelope.recipients, mail.envelope.server) for mail in mails}
    assert seen == {((to,), f"127.0.0.1:{port}") for _kind, to, port in accepted}
    assert len(mails) == len(accepted)
    ports = {to: port for _kind, to, port in accepted}
    assert ports["alice@acme.test"] == ports["bob@acme.test"]
    assert ports["carol@globex.test"] == ports["dave@both.test"] != ports["alice@acme.test"]
    logins = {mail.envelope.recipients[0]: mail.envelope.login for mail in mails}
    assert logins["carol@globex.test"] == "alerts@globex.test"
    assert logins["alice@acme.test"] is None


def test_demo_tells_a_taken_port_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = run({}, "demo", "--port", str(port))
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"Error: Port {port} on 127.0.0.1 is taken by another program.")
    assert line.endswith(f"portal demo --port {port + 1}")


def sign_in(address: str, email: str, password: str) -> urllib.request.OpenerDirector:
    """Someone who came in by the form."""
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    someone = urllib.request.build_opener(cookies)
    form = someone.open(f"{address}/sign-in").read().decode()
    token = found(r'name="csrf_token"[^>]*value="([^"]+)"', form)
    values = {"csrf_token": token, "email": email, "password": password}
    someone.open(f"{address}/sign-in", urllib.parse.urlencode(values).encode())
    return someone


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match, f"{pattern} is not in\n{text}"
    return match.group(1)
