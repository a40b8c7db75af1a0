"""The SMTP client as a state machine without input or output: bytes in, bytes and events out.

RFC 5321 with 1870 (SIZE), 2920 (PIPELINING), 3207 (STARTTLS), 4954 (AUTH), 6152 (8BITMIME) and
6531 (SMTPUTF8). A driver writes what `take` gives, hands what it reads to `receive`, and says with
`lost` that the connection is gone or that time is up; every failure then carries its phase.
"""

from collections.abc import Callable, Iterator

from portal.smtp.capabilities import Capabilities, capabilities_of
from portal.smtp.causes import Cause
from portal.smtp.channel import Broken, Channel, Command
from portal.smtp.events import Ended, Envelope, Event, Listener, Ready, StartTls
from portal.smtp.login import login, refusal_of, secrets_of
from portal.smtp.replies import Reply
from portal.smtp.reports import MASK, MaskedListener, Reporter
from portal.smtp.transactions import Transactions
from portal.smtp.values import Authentication, Bundle, Encryption, Failure, Phase
from portal.smtp.verdicts import cause_of
from portal.smtp.wire import client_name


class Dialogue:
    """One session with one server. Not thread-safe.

    `encrypted`: the connection is TLS already. `token`: the access token that an OAuth2 bundle
    logs in with; the dialogue fetches none. After `Ready`, `begin` starts a transaction; the
    next may begin once `dot` was called for the one before, so that with PIPELINING a whole
    message costs one round trip.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        ip: str,
        encrypted: bool = False,
        token: str | None = None,
        listener: Listener | None = None,
    ) -> None:
        self._bundle = bundle
        self._token = token
        self._encrypted = encrypted
        self._reporter = Reporter(ip, secrets_of(bundle, token))
        masked = listener
        if listener and self._reporter.secrets:
            masked = MaskedListener(listener, self._reporter)
        self._listener = masked
        self._channel = Channel(masked if masked and masked.keeps_transcript else None)
        self._transactions = Transactions(self._channel, self._reporter, masked)
        self._answers: Iterator[str] = iter(())
        self._refusal: str | None = None
        self._at = Phase.GREETING
        self._ready = False
        self._ended = False
        self.received = 0
        self.answered = 0
        self._channel.expect(Command(b"", Phase.GREETING, self._greeting))

    @property
    def usable(self) -> bool:
        """A transaction may begin: the session is open, and nothing went wrong in it."""
        return self._ready and not self._ended

    @property
    def idle(self) -> bool:
        """Nothing is under way."""
        return self._transactions.idle

    @property
    def phase(self) -> Phase:
        """What the server has to answer next, else what it answered last."""
        return self._channel.phase or self._at

    @property
    def capabilities(self) -> Capabilities:
        return self._transactions.capabilities

    def take(self) -> bytes:
        """The bytes to send now; what is taken counts as sent unless `lost` or `receive` says
        otherwise. Nothing more once the session has ended: its outcomes are told by then."""
        return b"" if self._ended else self._channel.take()

    def receive(self, data: bytes, *, unsent: int = 0) -> list[Event]:
        """Takes bytes as they come, split or merged anywhere. `unsent` bytes of those taken have
        not left yet: what they ask can't be answered already."""
        if self._ended:
            return []
        self.received += len(data)
        try:
            for command, reply in self._channel.replies(data, unsent=unsent):
                self._answer(command, reply)
        except Broken as broken:
            phase = broken.phase or self._at
            self._end(
                self._reporter.failure(phase, broken.cause, broken.reply, broken.detail),
                sent=self._channel.taken - unsent,
            )
        return self._flush()

    def lost(
        self,
        cause: Cause = Cause.CONNECTION_LOST,
        *,
        unsent: int = 0,
        phase: Phase | None = None,
        detail: str | None = None,
    ) -> list[Event]:
        """The connection is gone, or time is up; `unsent` bytes of those taken never left."""
        phase = phase or self.phase
        if phase is Phase.GREETING and not self.received:
            cause = Cause.NO_GREETING
        failure = self._reporter.failure(phase, cause, detail=detail)
        self._end(failure, sent=self._channel.taken - unsent)
        return self._flush()

    def tls_established(self) -> None:
        """The handshake that `StartTls` asked for is done; all that was said before is void."""
        self._encrypted = True
        self._transactions.capabilities = Capabilities()
        self._channel.forget_input()
        self._hello()

    def begin(self, envelope: Envelope) -> list[Event]:
        """Starts a transaction. Raises RuntimeError where the session is not usable."""
        if not self.usable:
            raise RuntimeError("a transaction needs a usable session")
        self._transactions.begin(envelope)
        return self._flush()

    def content(self, content: bytes) -> None:
        """The message after `ContentWanted`, made by `wire.content_bytes`."""
        self._transactions.content(content)

    def dot(self) -> None:
        """Ends the content. Once its bytes left, a loss means `Unknown`."""
        self._transactions.dot()

    def quit(self) -> None:
        self._command("QUIT", Phase.QUIT, self._quit)

    def _answer(self, command: Command, reply: Reply) -> None:
        self._at = command.phase
        self.answered += 1
        # Whatever bytes its text holds: an acceptance stays one, and a refused login is not tried
        # again as if it had been the line's fault (providers lock accounts).
        taken = command.phase is Phase.DOT and reply.ok
        refused = command.phase is Phase.AUTH and reply.code >= 400
        if reply.clean or taken or refused:
            command.answered(reply)
        if not reply.clean:
            detail = "the reply holds bytes that are not ASCII text"
            raise Broken(Cause.PROTOCOL_ERROR, detail=detail, reply=reply)
        if reply.code == 421:
            raise Broken(None, reply=reply)

    def _greeting(self, reply: Reply) -> None:
        self._require(reply.code == 220, reply)
        self._passed(Phase.GREETING, reply.text)
        self._hello()

    def _hello(self) -> None:
        self._command(f"EHLO {client_name(self._bundle)}", Phase.EHLO, self._ehlo)

    def _ehlo(self, reply: Reply) -> None:
        if reply.code >= 500 and not self._needs_extensions():
            self._command(f"HELO {client_name(self._bundle)}", Phase.EHLO, self._helo)
            return
        self._require(reply.ok, reply)
        self._transactions.capabilities = capabilities_of(reply)
        self._passed(Phase.EHLO, reply.lines[0])
        self._after_hello()

    def _helo(self, reply: Reply) -> None:
        self._require(reply.ok, reply)
        self._passed(Phase.EHLO, f"HELO: {reply.text}")
        self._open()

    def _after_hello(self) -> None:
        if self._bundle.encryption is not Encryption.NONE and not self._encrypted:
            if not self.capabilities.starttls:
                raise Broken(Cause.STARTTLS_MISSING, phase=Phase.STARTTLS)
            self._command("STARTTLS", Phase.STARTTLS, self._starttls)
        elif self._bundle.authentication is Authentication.NONE:
            self._open()
        else:
            self._authenticate()

    def _starttls(self, reply: Reply) -> None:
        self._require(reply.code == 220, reply)
        self._passed(Phase.STARTTLS, reply.text)
        # What stands behind the 220 was written by whoever sits on the line (CVE-2011-0411).
        self._channel.forget_input()
        self._at = Phase.TLS
        self._transactions.events.append(StartTls())

    def _authenticate(self) -> None:
        if not self._encrypted and not self._bundle.allow_clear_login:
            raise Broken(Cause.CLEAR_LOGIN_FORBIDDEN, phase=Phase.AUTH)
        chosen = login(self._bundle, self.capabilities, self._token)
        if isinstance(chosen, Cause):
            offered = " ".join(self.capabilities.auth) or None
            raise Broken(chosen, detail=offered, phase=Phase.AUTH)
        self._answers = iter(chosen.answers)
        shown = f"AUTH {chosen.mechanism} {MASK}"
        self._command(chosen.command, Phase.AUTH, self._auth, shown=shown)

    def _auth(self, reply: Reply) -> None:
        answer = next(self._answers, None) if reply.code == 334 else None
        if answer is not None:
            if not answer:
                self._refusal = self._reporter.mask(refusal_of(reply.text) or "") or None
            self._command(answer, Phase.AUTH, self._auth, shown=MASK if answer else None)
            return
        if not reply.ok:
            raise Broken(self._cause_of_refusal(reply), detail=self._refusal, reply=reply)
        self._passed(Phase.AUTH, reply.text)
        self._open()

    def _cause_of_refusal(self, reply: Reply) -> Cause:
        cause = cause_of(Phase.AUTH, reply)
        by_token = self._bundle.authentication.is_oauth2
        return Cause.TOKEN_REFUSED if by_token and cause is Cause.AUTH_REFUSED else cause

    def _open(self) -> None:
        self._ready = True
        self._channel.pipelining = self.capabilities.pipelining
        self._transactions.events.append(Ready(self.capabilities))

    def _quit(self, reply: Reply) -> None:
        self._ended = True
        self._transactions.events.append(Ended(None))

    def _needs_extensions(self) -> bool:
        return (
            self._bundle.encryption is Encryption.STARTTLS
            or self._bundle.authentication is not Authentication.NONE
        )

    def _require(self, met: bool, reply: Reply) -> None:
        if not met:
            raise Broken(None, reply=reply)

    def _command(
        self,
        text: str,
        phase: Phase,
        answered: Callable[[Reply], None],
        *,
        shown: str | None = None,
    ) -> None:
        self._channel.queue(Command(f"{text}\r\n".encode(), phase, answered, shown=shown))

    def _passed(self, phase: Phase, detail: str) -> None:
        if self._listener:
            self._listener.passed(phase, detail)

    def _end(self, failure: Failure, *, sent: int) -> None:
        if self._ended:
            return
        self._ended = True
        self._transactions.lost(failure, sent=sent)
        self._transactions.events.append(Ended(failure))

    def _flush(self) -> list[Event]:
        events = self._transactions.events
        self._transactions.events = []
        return events
