"""A worker that one letter kills while it is written, as the system does when memory runs out."""

import os
import signal
from typing import Any

from portal.letters import compose
from tests import delivering

POISON = "poison"


def work(settings: dict[str, str]) -> None:
    framed = compose.framed

    def framed_or_killed(*parts: Any, **more: Any) -> Any:
        if POISON in f"{parts}{more}":
            os.kill(os.getpid(), signal.SIGKILL)
        return framed(*parts, **more)

    compose.framed = framed_or_killed
    delivering.work(settings)
