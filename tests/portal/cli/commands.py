"""The command `portal` as its users run it, with an environment of its own."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from click.testing import CliRunner, Result

from portal.cli import main

PATIENCE = 60.0
_LOOK_EVERY = 0.1
_PORTAL = (sys.executable, "-m", "portal.cli")


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command: these settings (PORTAL_...), and no other ones of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    return kept | dict(settings)


def invoke(settings: Mapping[str, str], *arguments: str | Path, typed: str | None = None) -> Result:
    """Run a short command within this process."""
    known = {name: None for name in os.environ if name.startswith("PORTAL_")}
    result = CliRunner().invoke(
        main, [str(argument) for argument in arguments], input=typed, env={**known, **settings}
    )
    # A stack would be a message that nobody understands.
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def run(settings: Mapping[str, str], *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, as a process."""
    return subprocess.run(
        [*_PORTAL, *map(str, arguments)],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Running:
    """A command that runs until the `with` block ends; it must then end cleanly with code 0."""

    def __init__(self, settings: Mapping[str, str], folder: Path, *arguments: str) -> None:
        self._log = folder / f"{arguments[0]}.console.txt"
        with self._log.open("w") as console:
            self.process = subprocess.Popen(
                [*_PORTAL, *arguments],
                env=environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        code = self.stop()
        assert code == 0, f"ended with {code}:\n{self.console}"

    @property
    def console(self) -> str:
        return self._log.read_text()

    def wait_for(self, text: str) -> str:
        """The console, once it holds the text."""
        wait_until(
            lambda: text in self.console or self.process.poll() is not None,
            or_say=lambda: f"{text!r} did not appear:\n{self.console}",
        )
        assert text in self.console, f"ended without saying {text!r}:\n{self.console}"
        return self.console

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE)

    def child(self, role: str) -> int | None:
        """The process id of the child that runs this role, if it lives."""
        return next((pid for pid in self.children() if _runs(pid, role)), None)

    def children(self) -> list[int]:
        """The process ids of all children."""
        pid = self.process.pid
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in listed.split()]


def wait_until(condition: Callable[[], object], *, or_say: Callable[[], str]) -> None:
    """Look again and again until the condition holds; fails the test when it never does."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / _LOOK_EVERY)):
        if condition():
            return
        pause.wait(_LOOK_EVERY)
    raise AssertionError(or_say())


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def lives(pid: int) -> bool:
    """Whether the process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _runs(pid: int, role: str) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return False
    # -m portal.cli --parent 123 <role>
    return lives(pid) and role in arguments[5:7]
