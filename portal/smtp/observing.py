"""What a staged test shows of a session: each step with its time, and the transcript."""

from typing import NamedTuple, Protocol

from portal import clock
from portal.smtp.values import Failure, Phase


class Step(NamedTuple):
    """One finished step. `detail` is what was found or answered, safe to show; `failure` is set
    where it is not `ok`."""

    phase: Phase
    ok: bool
    milliseconds: float
    detail: str
    failure: Failure | None = None


class Observer(Protocol):
    """Sees a session while it goes on, in the thread that drives it."""

    @property
    def keeps_transcript(self) -> bool: ...

    def step(self, step: Step) -> None: ...

    def line(self, text: str) -> None:
        """One line of the transcript: `C: ` or `S: ` first, secrets masked."""
        ...


class Stopwatch:
    """Times the steps of one session for an observer; does nothing where there is none."""

    def __init__(self, observer: Observer | None) -> None:
        self._observer = observer
        self._since = clock.monotonic()

    @property
    def keeps_transcript(self) -> bool:
        return self._observer is not None and self._observer.keeps_transcript

    def restart(self) -> None:
        self._since = clock.monotonic()

    def line(self, text: str) -> None:
        if self._observer:
            self._observer.line(text)

    def passed(self, phase: Phase, detail: str) -> None:
        self._tell(phase, detail, None)

    def failed(self, failure: Failure) -> None:
        self._tell(failure.phase, failure.reply or failure.detail or "", failure)

    def _tell(self, phase: Phase, detail: str, failure: Failure | None) -> None:
        now = clock.monotonic()
        if self._observer:
            milliseconds = (now - self._since) * 1000
            self._observer.step(Step(phase, failure is None, milliseconds, detail, failure))
        self._since = now
