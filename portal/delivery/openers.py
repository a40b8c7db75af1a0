"""The threads in which sessions are opened: look-up, connection, TLS and login take their time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

_Found = TypeVar("_Found")
# Each may wait for a dead server until its time is up; the next sender must still find one free.
_MOST = 256


class Openers:
    """Unlike those of a ThreadPoolExecutor, these threads keep no process from ending: a server
    that never greets would hold a worker that was told to stop for as long as it has patience."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._free = threading.Semaphore(0)
        self._threads = 0

    def submit(self, act: Callable[..., _Found], *arguments: Any) -> "Future[_Found]":
        """Run it in one of the threads. Called by one thread alone."""
        future: Future[_Found] = Future()

        def run() -> None:
            try:
                future.set_result(act(*arguments))
            except BaseException as problem:
                future.set_exception(problem)

        self._waiting.put(run)
        if not self._free.acquire(blocking=False) and self._threads < _MOST:
            self._threads += 1
            threading.Thread(target=self._work, name="open", daemon=True).start()
        return future

    def close(self) -> None:
        """Let the threads end, each as soon as what it does is over."""
        for _ in range(self._threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while (run := self._waiting.get()) is not None:
            run()
            self._free.release()
