"""How a process says that the database is away: once when it goes, seldom meanwhile, once after."""

import threading

from structlog.stdlib import BoundLogger

from portal import logs
from portal.clock import monotonic

_SAY_AGAIN_AFTER = 10.0


class Outage:
    """What those who ask the database noticed of it, as few lines of the log."""

    def __init__(self, log: BoundLogger) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._began: float | None = None
        self._said = float("-inf")

    def goes_on(self, problem: BaseException) -> None:
        """The database did not answer; `problem` tells the kind."""
        with self._lock:
            now = monotonic()
            if self._began is None:
                self._began = now
            if now - self._said < _SAY_AGAIN_AFTER:
                return
            self._said = now
        kind = type(getattr(problem, "orig", None) or problem).__name__
        self._log.error("database unavailable", kind=kind)

    def is_over(self) -> None:
        """The database answered."""
        if self._began is None:
            return
        with self._lock:
            began, self._began, self._said = self._began, None, float("-inf")
        if began is not None:
            self._log.info("database available again", seconds=round(monotonic() - began, 1))


# Of this process, whoever in it asks the database.
here = Outage(logs.logger("database"))
