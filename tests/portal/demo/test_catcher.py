"""The mail catcher as a process: real SMTP in, files out."""

import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from portal import caught

MESSAGE = b"Subject: hello\r\n\r\nHello.\r\n..leading dot\r\n"


@contextmanager
def catcher(folder: Path, *, login: str | None = None) -> Iterator[int]:
    """A mail catcher on a free port, until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    fd = listener.fileno()
    arguments = ["catcher", "--folder", str(folder / "mail"), "--server", "here", "--fd", str(fd)]
    if login:
        (folder / "login").write_text(login + "\n")
        arguments += ["--login-file", str(folder / "login")]
    process = subprocess.Popen([sys.executable, "-m", "portal.cli", *arguments], pass_fds=[fd])
    listener.close()
    try:
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=30)
    assert code == 0


def test_what_comes_in_is_kept_as_it_came_with_its_envelope(tmp_path: Path) -> None:
    with catcher(tmp_path) as port, client_of(port) as client:
        client.sendmail("a@a.test", ["b@b.test", "c@c.test"], MESSAGE)
        client.sendmail("a@a.test", ["d@d.test"], MESSAGE)
        assert not client.has_extn("auth")
    second, first = caught.newest(tmp_path / "mail", limit=10)
    assert first.envelope.recipients == ("b@b.test", "c@c.test")
    assert second.envelope.recipients == ("d@d.test",)
    assert (first.envelope.server, first.envelope.login) == ("here", None)
    assert first.envelope.mail_from == "a@a.test"
    assert first.path.read_bytes() == MESSAGE
    assert caught.find(tmp_path / "mail", first.id) == first
    assert not list((tmp_path / "mail").glob("*.part"))


def test_a_catcher_with_a_login_lets_nobody_else_in(tmp_path: Path) -> None:
    with catcher(tmp_path, login="user:a:password") as port:
        with client_of(port) as client, pytest.raises(smtplib.SMTPSenderRefused, match="530"):
            client.sendmail("a@a.test", ["b@b.test"], MESSAGE)
        with client_of(port) as client, pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("user", "wrong")
        assert caught.newest(tmp_path / "mail", limit=10) == []
        with client_of(port) as client:
            client.login("user", "a:password")
            client.sendmail("a@a.test", ["b@b.test"], MESSAGE)
    (mail,) = caught.newest(tmp_path / "mail", limit=10)
    assert mail.envelope.login == "user"


def client_of(port: int) -> smtplib.SMTP:
    return smtplib.SMTP("127.0.0.1", port, timeout=30)
