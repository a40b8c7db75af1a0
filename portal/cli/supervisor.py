"""Keeps the roles of a portal running: starts them, starts them again, and ends them cleanly."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from portal.cli.processes import how_it_ended
from portal.clock import monotonic

_FIRST_DELAY = 1.0
_LONGEST_DELAY = 5.0
_HEALTHY_AFTER = 30.0
_PATIENCE = 15.0
_TICK = 0.1


@dataclass(frozen=True)
class Role:
    """One process: what it is called on the console, and the arguments of `portal` that run it."""

    name: str
    arguments: tuple[str, ...]
    inherited: tuple[int, ...] = ()


@dataclass
class _Child:
    role: Role
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    delay: float = field(default=_FIRST_DELAY)
    start_at: float = 0.0


class Supervisor:
    """Runs roles until SIGTERM or SIGINT.

    `on_end(role, pid)` is called whenever a process has ended, before it is started again.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        *,
        environment: Mapping[str, str],
        tell: Callable[[str], None],
        on_end: Callable[[Role, int], None],
    ) -> None:
        self._children = [_Child(role) for role in roles]
        self._environment = dict(environment)
        self._tell = tell
        self._on_end = on_end
        self._stopping = threading.Event()
        self._signals = 0

    def run(self, script: Iterator[None]) -> None:
        """Block until told to stop; then end everything.

        `script` is continued a few times a second until it is over: it does what needs the
        processes, one short step at a time. Processes get SIGTERM and 15 s, then they are
        killed; a second signal kills at once.
        """
        before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        try:
            while not self._stopping.is_set():
                self._start_what_is_due()
                next(script, None)
                self._stopping.wait(_TICK)
                self._notice_ends()
        finally:
            self._end_all()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, _number: int, _frame: object) -> None:
        self._signals += 1
        self._stopping.set()

    def _start_what_is_due(self) -> None:
        for child in self._children:
            if child.process is None and monotonic() >= child.start_at:
                child.process = self._start(child.role)
                child.started_at = monotonic()

    def _start(self, role: Role) -> subprocess.Popen[bytes]:
        # A group of its own: Ctrl-C reaches the supervisor alone, which then ends all in order.
        return subprocess.Popen(
            [sys.executable, "-m", "portal.cli", "--parent", str(os.getpid()), *role.arguments],
            env=self._environment,
            pass_fds=role.inherited,
            stdin=subprocess.DEVNULL,
            process_group=0,
        )

    def _notice_ends(self) -> None:
        for child in self._children:
            if child.process is None or child.process.poll() is None:
                continue
            lived = monotonic() - child.started_at
            child.delay = (
                _FIRST_DELAY if lived >= _HEALTHY_AFTER else min(child.delay, _LONGEST_DELAY)
            )
            how = how_it_ended(child.process.returncode)
            self._tell(f"{child.role.name} ended ({how}); it starts again in {child.delay:.0f} s.")
            self._clear(child)
            child.start_at = monotonic() + child.delay
            child.delay *= 2

    def _clear(self, child: _Child) -> None:
        """After the end of a process: nothing of its group lives on, and its work is given back."""
        assert child.process is not None
        pid = child.process.pid
        child.process = None
        _signal_group(pid, signal.SIGTERM)
        self._on_end(child.role, pid)

    def _end_all(self) -> None:
        running = [child for child in self._children if child.process is not None]
        for child in running:
            _signal(child, signal.SIGTERM)
        deadline = monotonic() + _PATIENCE
        signals = self._signals
        pause = threading.Event()
        while any(map(_is_alive, running)) and monotonic() < deadline and self._signals == signals:
            pause.wait(_TICK / 2)
        for child in filter(_is_alive, running):
            assert child.process is not None
            self._tell(f"{child.role.name} did not end in time and was killed.")
            _signal_group(child.process.pid, signal.SIGKILL)
            child.process.wait()
        for child in running:
            self._clear(child)


_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def _is_alive(child: _Child) -> bool:
    return child.process is not None and child.process.poll() is None


def _signal(child: _Child, number: signal.Signals) -> None:
    assert child.process is not None
    with contextlib.suppress(ProcessLookupError):
        child.process.send_signal(number)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
