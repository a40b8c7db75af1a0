"""`portal web`: pages and API, served by gunicorn with threads."""

import gc
import json
import socket
from typing import Any

import click
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from portal.cli import application, listening
from portal.clock import monotonic
from portal.config import Config
from portal.extensions import db

_PROCESSES = 2
_THREADS = 8
_GRACE_SECONDS = 10
# What is still taken of a body that nobody wants.
_UNREAD_SECONDS = 5.0
_UNREAD_BYTES = 16 * 1024 * 1024


@click.command()
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on.  [default: 8000]")
@click.option("--fd", type=int, hidden=True, help="A bound socket that was handed down.")
def web(host: str | None, port: int | None, fd: int | None) -> None:
    """Serve pages and the API."""
    app = application.serving()
    if fd is None:
        config: Config = app.extensions["config"]
        wanted = listening.chosen(config.base_url, host=host, port=port)
        listener = listening.bind(wanted, command="portal web")
        click.echo(f"Listening on {listening.bound_address(listener).url}.")
        fd = listener.detach()
    with app.app_context():
        # A connection must not be shared by the processes that are forked from here.
        db.engine.dispose()
    # What is there from the start need not be looked at by every collection.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    _Server(app, fd).run()


class _Server(BaseApplication):
    """Gunicorn around an application that was made before, so that its errors are told first."""

    def __init__(self, app: Flask, fd: int) -> None:
        self._app = app
        self._settings = _settings(fd)
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self._app


class _Worker(ThreadWorker):
    """Says in a problem document (RFC 9457) what the server refuses before the portal sees it, and
    lets every caller read the answer."""

    def handle_request(self, req: object, conn: Any) -> bool:
        goes_on: bool = super().handle_request(req, conn)
        # A connection that is closed with a body unread is reset (RFC 9112, 9.6), and a proxy that
        # still sends then answers 502 in place of what was said.
        conn.parser.finish_body(deadline=monotonic() + _UNREAD_SECONDS, max_bytes=_UNREAD_BYTES)
        return goes_on

    def handle_error(
        self, req: object, client: socket.socket, addr: object, exc: Exception
    ) -> None:
        told = next((told for kind, told in _TOO_LONG.items() if isinstance(exc, kind)), None)
        if told is None:
            super().handle_error(req, client, addr, exc)
            return
        status, title, detail = told
        document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        body = json.dumps(document | {"errors": []}).encode()
        head = (
            f"HTTP/1.1 {status} {title}\r\nConnection: close\r\n"
            f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        write_nonblock(client, head.encode("ascii") + body)


_TOO_LONG: dict[type[Exception], tuple[int, str, str]] = {
    LimitRequestLine: (
        414,
        "URI Too Long",
        "The address with its query is longer than 4,094 bytes. Ask for less at once.",
    ),
    LimitRequestHeaders: (
        431,
        "Request Header Fields Too Large",
        "The headers are more or longer than this server reads. Send fewer cookies and headers.",
    ),
}


def _settings(fd: int) -> dict[str, Any]:
    return {
        "bind": f"fd://{fd}",
        "worker_class": _Worker,
        "workers": _PROCESSES,
        "threads": _THREADS,
        "preload_app": True,
        "graceful_timeout": _GRACE_SECONDS,
        "loglevel": "warning",
        # Whose X-Forwarded headers count is decided by PORTAL_TRUSTED_PROXIES alone.
        "forwarded_allow_ips": "",
        "control_socket_disable": True,
    }
