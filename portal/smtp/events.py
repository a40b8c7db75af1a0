"""What goes into the SMTP dialogue and what comes out of it, besides bytes."""

from dataclasses import dataclass
from typing import Protocol

from portal.smtp.capabilities import Capabilities
from portal.smtp.values import Failure, Outcome, Phase


@dataclass(frozen=True, slots=True)
class Envelope:
    """One transaction. `size` is the length of the content in bytes, 0 where it is not known;
    a `probe` ends with RSET after RCPT and carries no content."""

    mail_from: str
    recipients: tuple[str, ...]
    size: int = 0
    eight_bit: bool = False
    probe: bool = False


@dataclass(frozen=True, slots=True)
class StartTls:
    """Make the connection TLS now, then call `tls_established`."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The session is open; transactions may begin."""

    capabilities: Capabilities


@dataclass(frozen=True, slots=True)
class ContentWanted:
    """The server said 354: give `content`, then `dot`; or drop the connection to send nothing."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Finished:
    """A transaction is over: one outcome for each recipient, in their order.

    `untouched`: the session ended before the server had answered any command of it; nothing was
    handed over, and the same may be tried on a new session at once.
    """

    envelope: Envelope
    outcomes: tuple[Outcome, ...]
    untouched: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """The session can't be used any more; None where it was closed in good order."""

    failure: Failure | None


Event = StartTls | Ready | ContentWanted | Finished | Ended


class Listener(Protocol):
    """Hears what a person may want to see. Delivery keeps no transcript: it would cost time."""

    @property
    def keeps_transcript(self) -> bool:
        """Whether `line` is of any use."""
        ...

    def line(self, text: str) -> None:
        """One line of the transcript, `C: ` or `S: ` first, secrets masked."""
        ...

    def passed(self, phase: Phase, detail: str) -> None:
        """The server agreed to this step; `detail` is its reply, safe to show."""
        ...
