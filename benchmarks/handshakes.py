"""How many TLS handshakes a thousand mails to one sender cost.

    python benchmarks/handshakes.py [--mails 1000] [--rate 50] [--workers 2] [--database-url URL]

Workers send mail of one sender with eight connections, as it has unless somebody changes that, to
a server that asks for STARTTLS: once from a queue that is full when they start, then as it comes,
so many a second. Handshakes and mails are counted at the server, and the mails of the full queue in
the records too. Goal: at most 10 for each 1,000 mails, both ways; fewer mails cannot tell.
"""

import argparse
import time

from flask import Flask
from throughput import engine_name, enqueue, installation, settings_of, verdict, workers, working

from tests.smtp_server import SmtpServer

_CONNECTIONS = 8
_HANDSHAKES = 10
_FEWEST = 1000
# Longer than the last of many mails takes, in seconds.
_PATIENCE = 600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mails", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=50.0, help="mails a second, as they come")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--database-url")
    chosen = parser.parse_args()
    if chosen.mails < _FEWEST:
        parser.error(
            f"give at least --mails {_FEWEST}: each connection costs a handshake, however few "
            "mails go over it, so a shorter run tells nothing about the goal"
        )
    _say(engine_name(chosen.database_url))
    with settings_of(chosen.database_url) as settings, SmtpServer(tls="starttls") as server:
        app = installation(
            settings, server.port, encryption="starttls", ca=server.ca, connections=_CONNECTIONS
        )
        workers(app, settings, chosen.mails, chosen.workers)
        _say_handshakes("a full queue", server.handshakes, len(server.messages), chosen)
        before = server.handshakes
        with working(settings, chosen.workers):
            _hand_in(app, chosen.mails, chosen.rate)
            server.wait_for_messages(2 * chosen.mails, seconds=_PATIENCE)
        came = len(server.messages) - chosen.mails
        _say_handshakes(
            f"{chosen.rate:.0f} mails a second", server.handshakes - before, came, chosen
        )


def _hand_in(app: Flask, mails: int, rate: float) -> None:
    began = time.monotonic()
    with app.app_context():
        for number in range(mails):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            enqueue(1)


def _say_handshakes(what: str, handshakes: int, mails: int, chosen: argparse.Namespace) -> None:
    assert mails == chosen.mails, f"{mails} of {chosen.mails} mails came"
    of_thousand = handshakes * 1000 / mails
    _say(f"{what}, {chosen.workers} workers: {handshakes} TLS handshakes, {mails:,} mails")
    _say(f"{verdict(of_thousand <= _HANDSHAKES)}: at most {_HANDSHAKES} for each 1,000 mails")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
