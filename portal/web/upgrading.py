"""While the tables are older than this version needs, every page and call says so; nothing else is
done until they have been upgraded."""

import threading
from collections.abc import Callable

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from portal.clock import monotonic
from portal.web import errors

_LOOK_EVERY = 1.0
_SERVED = ("static", "health.live")


def hold_back(app: Flask, is_over: Callable[[], bool]) -> None:
    """Answer 503 until `is_over`, which is asked once a second at the most. Call it before the
    first request."""
    app.before_request_funcs.setdefault(None, []).insert(0, _Gate(is_over).check)


class _Gate:
    def __init__(self, is_over: Callable[[], bool]) -> None:
        self._is_over = is_over
        self._is_open = False
        self._looked = float("-inf")
        self._lock = threading.Lock()

    def check(self) -> ResponseReturnValue | None:
        if self._is_open or request.endpoint in _SERVED or self._look():
            return None
        if request.endpoint == "health.ready":
            return jsonify(status="unavailable", faults=["schema"]), 503
        return errors.awaiting_upgrade()

    def _look(self) -> bool:
        with self._lock:
            if not self._is_open and monotonic() - self._looked > _LOOK_EVERY:
                self._is_open = self._is_over()
                self._looked = monotonic()
            return self._is_open
