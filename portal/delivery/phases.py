"""What an attempt remembers of its session: each phase with its time, the peer and the TLS."""

from typing import Any

from portal.smtp.blocking import Session
from portal.smtp.observing import Step


class PhaseLog:
    """Hears the session while it goes; read once it has ended."""

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

    def peer(self, session: Session) -> None:
        self.ip = session.ip
        self.tls = session.tls.version if session.tls else None

    def step(self, step: Step) -> None:
        self.phases.append(
            {"phase": step.phase.value, "ok": step.ok, "ms": round(step.milliseconds)}
        )

    def line(self, text: str) -> None:
        """Delivery keeps no transcript."""


class Ear:
    """Hears a session for all its life, and tells the attempt that goes on now."""

    def __init__(self) -> None:
        self.phases = PhaseLog()

    def step(self, step: Step) -> None:
        self.phases.step(step)

    def line(self, text: str) -> None:
        self.phases.line(text)
