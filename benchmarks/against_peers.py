"""How the portal compares with what people use today, on the same machine and server.

    python benchmarks/against_peers.py [--mails 1000] [--rounds 3] [--workers 2] [--report FILE]

Each round sends the same number of mails of the same size in turn by: Postfix's C client, the
portal's workers, django-post_office with as many processes, Celery with one task a mail,
Flask-Mail's bulk connection, and smtplib in a loop. The peers come from
benchmarks/peers/requirements.txt, into an environment of their own. Ratios and their
spread are what counts. Needs smtp-sink and smtp-source (Debian: postfix).
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from throughput import (
    Sink,
    c_client,
    engine_name,
    installation,
    settings_of,
    size_of_a_mail,
    take_in,
    workers,
)

_PEERS = Path(__file__).with_name("peers")
_ENVIRONMENT = _PEERS.parents[1] / ".venv" / "peers"
_NAMES = {
    "with_post_office": "django-post_office",
    "with_celery": "Celery, one task a mail",
    "with_flask_mail": "Flask-Mail, bulk connection",
    "with_smtplib": "smtplib, one connection",
}
_OURS, _C, _TAKEN = "Gatepost", "C client, 8 connections", "taken in"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mails", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--database-url")
    parser.add_argument("--report", type=Path)
    chosen = parser.parse_args()
    python = _environment()
    rounds: list[dict[str, float]] = []
    with settings_of(chosen.database_url) as settings, Sink() as sink:
        app = installation(settings, sink.port)
        size = size_of_a_mail(app)
        for number in range(chosen.rounds):
            found = {_C: c_client(sink.port, chosen.mails, size)}
            found[_OURS] = workers(app, settings, chosen.mails, chosen.workers)
            found[f"{_OURS}, {_TAKEN}"] = take_in(app, chosen.mails)
            for script, name in _NAMES.items():
                answer = _run(python, script, sink.port, chosen.mails, size, chosen.workers)
                found[name] = answer[0]
                if len(answer) > 1:
                    found[f"{name}, {_TAKEN}"] = answer[1]
            rounds.append(found)
            print(f"round {number + 1}: " + ", ".join(f"{k} {v:,.0f}" for k, v in found.items()))  # noqa: T201
    report = _report(rounds, f"{engine_name(chosen.database_url)}, {size:,} bytes a mail", chosen)
    print(report)  # noqa: T201
    if chosen.report:
        chosen.report.write_text(report)


def _environment() -> Path:
    """The peers, installed once."""
    python = _ENVIRONMENT / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", _ENVIRONMENT], check=True)
        wanted = ["-r", str(_PEERS / "requirements.txt")]
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    return python


def _run(
    python: Path, script: str, port: int, mails: int, size: int, processes: int
) -> list[float]:
    command = [str(python), f"{script}.py", "--port", str(port), "--mails", str(mails)]
    command += ["--size", str(size), "--processes", str(processes)]
    done = subprocess.run(
        command, cwd=_PEERS, check=True, capture_output=True, text=True, timeout=1800
    )
    return [float(line) for line in done.stdout.split()]


def _report(rounds: list[dict[str, float]], title: str, chosen: argparse.Namespace) -> str:
    """A table: the median of each, and how many times as fast the portal was in the same round."""
    lines = [
        f"# {title}, {chosen.mails:,} mails, {chosen.workers} processes, {len(rounds)} rounds",
        "",
        "| way | mails/s, median | Gatepost is so many times as fast (from, to) |",
        "|---|---|---|",
    ]
    for name in rounds[0]:
        ours = f"{_OURS}, {_TAKEN}" if name.endswith(_TAKEN) else _OURS
        ratios = sorted(found[ours] / found[name] for found in rounds)
        median = statistics.median(found[name] for found in rounds)
        spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}, {ratios[-1]:.2f})"
        lines.append(f"| {name} | {median:,.0f} | {'' if name == ours else spread} |")
    return "\n".join([*lines, "", f"Measured {time.strftime('%Y-%m-%d')}.", ""])


if __name__ == "__main__":
    main()
