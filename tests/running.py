"""A portal as people run it: `portal up` in processes of its own, on a free port."""

import signal
import socket
import subprocess
import sysconfig
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PORTAL = Path(sysconfig.get_path("scripts")) / "portal"
_READY_WITHIN = 60.0
_PAUSE = 0.2


@dataclass(frozen=True)
class RunningPortal:
    """Where it answers, its data folder, and what it has said on the console."""

    address: str
    data_dir: Path
    log: Path

    @property
    def console(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def said(self, text: str) -> str:
        """The console, once it holds the text; the web process may be ready before it is said."""
        pause = threading.Event()
        for _ in range(int(_READY_WITHIN / _PAUSE)):
            if text in self.console:
                return self.console
            pause.wait(_PAUSE)
        raise AssertionError(f"{text!r} was not said:\n{self.console}")

    def fetch(self, path: str) -> str:
        """The body of a GET. Raises urllib.error.HTTPError for 4xx and 5xx."""
        with urllib.request.urlopen(self.address + path, timeout=10) as answer:
            content: bytes = answer.read()
        return content.decode()


@contextmanager
def running(
    folder: Path,
    *arguments: str,
    executable: Path = PORTAL,
    settings: Mapping[str, str] | None = None,
) -> Iterator[RunningPortal]:
    """`portal up`, or `portal` with the arguments given, until the block ends.

    Works in `folder`, with a data folder below it and nothing of this process's environment.
    Leaves by SIGTERM and fails where the portal does not end with code 0.
    """
    port = _free_port()
    portal = RunningPortal(f"http://127.0.0.1:{port}", folder / "data", folder / "console.txt")
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PORTAL_DATA_DIR": str(portal.data_dir),
        **(settings or {}),
    }
    command = [str(executable), *(arguments or ("up",)), "--port", str(port)]
    with portal.log.open("w") as console:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=console, stderr=subprocess.STDOUT
        )
        try:
            assert _is_ready(portal, process), f"not ready:\n{portal.console}"
            yield portal
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=_READY_WITHIN)
    assert code == 0, f"ended with {code}:\n{portal.console}"


def _is_ready(portal: RunningPortal, process: "subprocess.Popen[bytes]") -> bool:
    pause = threading.Event()
    for _ in range(int(_READY_WITHIN / _PAUSE)):
        if process.poll() is not None:
            return False
        try:
            portal.fetch("/health/ready")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pause.wait(_PAUSE)
        else:
            return True
    return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
