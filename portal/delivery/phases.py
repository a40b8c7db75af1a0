"""What an attempt remembers of its session: each phase with its time, the peer and the TLS."""

from typing import Any

from portal.smtp.live import LiveSession
from portal.smtp.observing import Step
from portal.smtp.values import Failure, Phase


class PhaseLog:
    """Hears the session while it goes; read once it has ended."""

    keeps_transcript = False

    def __init__(self) -> None:
        self.phases: list[dict[str, Any]] = []
        self.was_reused = False
        self.ip: str | None = None
        self.tls: str | None = None

    def reused(self) -> None:
        self.was_reused = True
        self.phases.append({"phase": "session_reused", "ok": True, "ms": 0})

    def restart(self) -> None:
        """The reused session was dead: begin again with a new one."""
        self.phases.clear()
        self.was_reused = False

    def take_over(self, opening: "PhaseLog") -> None:
        """The first mail of a session remembers how it was opened."""
        self.phases[:0] = opening.phases

    def peer(self, session: LiveSession) -> None:
        self.ip = session.ip
        self.tls = session.tls.version if session.tls else None

    def step(self, step: Step) -> None:
        self.phases.append(
            {"phase": step.phase.value, "ok": step.ok, "ms": round(step.milliseconds)}
        )

    def failed(self, failure: Failure) -> None:
        self.phases.append({"phase": failure.phase.value, "ok": False, "ms": 0})

    def line(self, text: str) -> None:
        """Delivery keeps no transcript."""


class Ear:
    """Hears a session for all its life, and tells the attempt that goes on now."""

    keeps_transcript = False

    def __init__(self) -> None:
        self.phases = PhaseLog()
        self._next: PhaseLog | None = None

    def hear_for(self, phases: PhaseLog, *, at_once: bool) -> None:
        """Tell this one from now on; or else from the first answer to its own envelope."""
        if at_once:
            self.phases, self._next = phases, None
        else:
            self._next = phases

    def step(self, step: Step) -> None:
        if self._next is not None and step.phase is Phase.MAIL:
            self.phases, self._next = self._next, None
        self.phases.step(step)

    def line(self, text: str) -> None:
        """Delivery keeps no transcript."""
