"""`portal demo`: a portal on throw-away data that has just sent real mail to a mail catcher."""

import secrets
import shutil
import signal
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

from portal import config as configuration
from portal.address_spelling import with_port
from portal.cli import apply, listening, running
from portal.cli.failures import Failed
from portal.cli.listening import Address
from portal.cli.running import Running
from portal.cli.settings_file import document, shape
from portal.cli.supervisor import Role
from portal.clock import monotonic
from portal.config import Config
from portal.demo import catcher, sample
from portal.demo.sample import Mail
from portal.extensions import db

_GLOBEX_USER = "alerts@globex.test"
_PATIENCE = 60.0
_PEOPLE = (
    ("rita@platform.test", "system administrator"),
    ("alice@acme.test", "Administrator of Acme, which uses the platform's sender"),
    ("bob@acme.test", "Member of Acme"),
    ("carol@globex.test", "Administrator of Globex, which has a sender of its own"),
    ("dave@both.test", "Member of Acme and of Globex"),
)


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on.  [default: that of PORTAL_BASE_URL, else 8000]",
)
def demo(host: str | None, port: int | None) -> None:
    """Show the portal at work: sample organizations, real mail, a mail catcher."""
    if not catcher.is_available():
        raise Failed("The mail catcher is not installed. Run: pip install 'gatepost[demo]'")
    wanted = listening.chosen(_own_base_url(), host=host, port=port)
    listener = listening.bind(wanted, command="portal demo")
    signal.signal(signal.SIGTERM, _end)
    with _throw_away_folder() as folder:
        keeps = listening.bind(Address("127.0.0.1", 0), command="portal demo")
        settings = {
            "data_dir": str(folder / "data"),
            "base_url": listening.reached_at(Config.base_url, listening.bound_address(listener)),
            "mail_catcher": "1",
            "mail_catcher_at": f"127.0.0.1:{listening.bound_address(keeps).port}",
        }
        portal = running.prepare(listener, settings, alone=True, tell=_say_nothing)
        password = "-".join(secrets.token_hex(2) for _ in range(4))
        catchers = _set_up(portal, folder, password, keeps)
        portal.run(_show(portal, folder, password), beside=catchers)
    click.echo("The demo has ended; its data was removed.")


def _own_base_url() -> str:
    """The one setting of the operator's that counts here: where on this machine to listen."""
    url = configuration.variable("PORTAL_BASE_URL")
    return Config.from_environment({"PORTAL_BASE_URL": url} if url else {}).base_url


@contextmanager
def _throw_away_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gatepost-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _set_up(portal: Running, folder: Path, password: str, keeps: socket.socket) -> tuple[Role, ...]:
    """Apply the sample settings. Returns the mail catchers that they point to; the platform's
    listens on `keeps`."""
    globex_password = secrets.token_urlsafe(24)
    _write(folder / "people.pw", password)
    _write(folder / "globex.pw", globex_password)
    _write(folder / "globex.login", f"{_GLOBEX_USER}:{globex_password}")
    mail = portal.app.extensions["config"].caught_mail_dir
    asks = listening.bind(Address("127.0.0.1", 0), command="portal demo")
    platform_port, platform = _catcher(keeps, mail, None)
    globex_port, globex = _catcher(asks, mail, folder / "globex.login")
    ports = {"platform_port": platform_port, "globex_port": globex_port}
    (folder / "globex.png").write_bytes(sample.logo())
    file = folder / "sample.yaml"
    _write(file, sample.settings_file(ports))
    apply.carry_out(portal.app, document.read(file, shape.FILE), file)
    return platform, globex


def _catcher(listener: socket.socket, folder: Path, login_file: Path | None) -> tuple[int, Role]:
    """The port, and the mail catcher that serves it."""
    port = listening.bound_address(listener).port
    fd = listener.detach()
    server = f"127.0.0.1:{port}"
    arguments = ["catcher", "--folder", str(folder), "--server", server, "--fd", str(fd)]
    if login_file is not None:
        arguments += ["--login-file", str(login_file)]
    return port, Role(f"mail catcher {server}", tuple(arguments), (fd,))


def _show(portal: Running, folder: Path, password: str) -> Iterator[None]:
    """Send the sample mail, wait until it was accepted, and say who can sign in."""
    yield from portal.until_ready()
    with portal.app.app_context():
        ids = sample.tell()
        db.session.remove()
    deadline = monotonic() + _PATIENCE
    while not all(mail.is_accepted for mail in _mails(portal, ids)) and monotonic() < deadline:
        yield
    click.echo(f"\nGatepost runs at {portal.base_url} on throw-away data in {folder}.")
    click.echo(f"\nSign in with the password {password} as")
    for email, role in _PEOPLE:
        click.echo(f"  {email:20} {role}")
    click.echo("\nThe mail of this moment:")
    for mail in _mails(portal, ids):
        click.echo(_line(mail))
    click.echo(f"\nRead it as rita@platform.test at {portal.base_url}/host/mail-catcher")
    click.echo("Stop with Ctrl-C.")


def _mails(portal: Running, ids: list[uuid.UUID]) -> list[Mail]:
    with portal.app.app_context():
        found = sample.mails(ids)
        db.session.remove()
    return found


def _line(mail: Mail) -> str:
    if mail.is_accepted:
        place = with_port(mail.server or "", mail.port or 0)
        return f"accepted: {mail.kind} to {mail.recipient} by {place}"
    reason = f" ({mail.reason})" if mail.reason else ""
    return f"{mail.state.value}{reason}: {mail.kind} to {mail.recipient}"


def _write(path: Path, content: str) -> None:
    path.touch(mode=0o600)
    path.write_text(content + "\n", encoding="utf-8")


def _end(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


def _say_nothing(_line: str) -> None:
    """The keys of throw-away data need no backup."""
