"""The portal's web role as people run it, on a free port."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.chaos.processes import Settings


@contextmanager
def running(settings: Settings) -> Iterator[str]:
    """`portal web` until the block ends; gives its address, which may not answer yet."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "portal.cli", "web", "--fd", str(fd)],
            env={**os.environ, **settings},
            pass_fds=[fd],
        )
    try:
        yield address
    finally:
        process.terminate()
        process.wait()
