"""A worker on a machine whose clock is wrong."""

from datetime import timedelta

import time_machine

from portal.clock import utcnow
from tests import delivering

BEHIND = timedelta(minutes=10)


def work_behind(settings: dict[str, str]) -> None:
    """What the process of a worker does whose clock is ten minutes slow."""
    with time_machine.travel(utcnow() - BEHIND):
        delivering.work(settings)
