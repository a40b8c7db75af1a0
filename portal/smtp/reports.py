"""Failures and reply texts that are safe to keep and to show."""

from dataclasses import dataclass

from portal.smtp.causes import Cause
from portal.smtp.events import Listener
from portal.smtp.replies import LONGEST_SHOWN, Reply
from portal.smtp.values import Failure, Phase
from portal.smtp.verdicts import cause_of

MASK = "****"


@dataclass(frozen=True)
class Reporter:
    """Knows the peer, and every form of the secret that the peer could echo."""

    ip: str
    secrets: tuple[str, ...] = ()

    def mask(self, text: str) -> str:
        for secret in self.secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return text

    def text(self, reply: Reply) -> str:
        return self.mask(reply.text)[:LONGEST_SHOWN]

    def failure(
        self,
        phase: Phase,
        cause: Cause | None = None,
        reply: Reply | None = None,
        detail: str | None = None,
        chosen: str = "",
    ) -> Failure:
        """Without a cause, what the reply means in this phase. `chosen`: what it may echo."""
        if reply is None:
            return Failure(phase, cause or Cause.PROTOCOL_ERROR, ip=self.ip, detail=detail)
        return Failure(
            phase,
            cause or cause_of(phase, reply, chosen),
            code=reply.code,
            enhanced_code=reply.enhanced_code,
            reply=self.text(reply),
            ip=self.ip,
            detail=detail,
            chosen=chosen,
        )


class MaskedListener:
    """Passes on to a listener what it may hear."""

    def __init__(self, listener: Listener, reporter: Reporter) -> None:
        self._listener = listener
        self._reporter = reporter

    @property
    def keeps_transcript(self) -> bool:
        return self._listener.keeps_transcript

    def line(self, text: str) -> None:
        self._listener.line(self._reporter.mask(text))

    def passed(self, phase: Phase, detail: str) -> None:
        self._listener.passed(phase, self._reporter.mask(detail))
