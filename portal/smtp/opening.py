"""Opening a session, step by step: an access token where OAuth2 wants one, look-up, connection,
TLS, greeting, EHLO, STARTTLS, login."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from portal import clock
from portal.destinations import Forbidden, Guard, NameNotFound
from portal.smtp.causes import Cause
from portal.smtp.dialogue import Dialogue
from portal.smtp.driving import exchange
from portal.smtp.events import Ended, Ready, StartTls
from portal.smtp.login import policy_failure
from portal.smtp.oauth2 import access_token, forget
from portal.smtp.observing import Observer, Stopwatch
from portal.smtp.transport import Lost, Transport, cause_of_connect, connect
from portal.smtp.trust import (
    Tls,
    UnreadableAuthority,
    cause_of_tls,
    context_for,
    describe,
    ended,
    tls_of,
)
from portal.smtp.values import (
    Authentication,
    Bundle,
    Encryption,
    Failure,
    Phase,
    SessionFailed,
)

_LOOK_TIMEOUT = 5.0
_BAD_CERTIFICATE = (Cause.TLS_UNTRUSTED, Cause.TLS_WRONG_NAME, Cause.TLS_EXPIRED)


@dataclass(frozen=True)
class Opened:
    """A session ready for transactions, with what carries it."""

    dialogue: Dialogue
    transport: Transport
    ip: str
    tls: Tls | None
    watch: Stopwatch


class Opening:
    """One attempt to open a session with a bundle.

    `rotated` is given the refresh token that takes the place of the bundle's.
    """

    def __init__(
        self,
        bundle: Bundle,
        guard: Guard,
        observer: Observer | None,
        rotated: Callable[[str], None] | None = None,
    ) -> None:
        self._bundle = bundle
        self._guard = guard
        self._rotated = rotated
        self._token: str | None = None
        self._watch = Stopwatch(observer)
        self._observed = observer is not None

    def run(self) -> Opened:
        """Raises SessionFailed; then nothing stays open."""
        try:
            if failure := policy_failure(self._bundle):
                raise SessionFailed(failure)
            if self._bundle.authentication.is_oauth2:
                self._fetch_token()
            ip, transport = self._connect(self._addresses())
            try:
                return self._open(ip, transport)
            except BaseException:
                transport.close()
                raise
        except SessionFailed as failed:
            if failed.failure.cause == Cause.TOKEN_REFUSED and self._token:
                forget(self._bundle, self._token)
            self._watch.failed(failed.failure)
            raise

    def _fetch_token(self) -> None:
        bundle = self._bundle
        self._token = access_token(bundle, guard=self._guard, rotated=self._rotated)
        self._watch.passed(Phase.AUTH, f"access token from {bundle.token_url}")

    def _addresses(self) -> tuple[str, ...]:
        host = _host(self._bundle)
        try:
            addresses = self._guard.addresses(host, self._bundle.port)
        except Forbidden as forbidden:
            failure = Failure(Phase.POLICY, Cause.FORBIDDEN_DESTINATION, detail=forbidden.reason)
            raise SessionFailed(failure) from None
        except NameNotFound as missing:
            cause = Cause.NAME_LOOKUP_FAILED if missing.temporary else Cause.NAME_NOT_FOUND
            raise SessionFailed(Failure(Phase.DNS, cause, detail=host)) from None
        self._watch.passed(Phase.DNS, ", ".join(addresses))
        return addresses

    def _connect(self, addresses: tuple[str, ...]) -> tuple[str, Transport]:
        # Each address gets its share of the time that is left, so that a dead first one leaves
        # some for the next.
        deadline = clock.monotonic() + self._bundle.connect_timeout
        tried: list[tuple[str, Cause]] = []
        for place, ip in enumerate(addresses):
            now = clock.monotonic()
            share = (deadline - now) / (len(addresses) - place)
            try:
                transport = connect(ip, self._bundle.port, now + share)
            except OSError as problem:
                tried.append((ip, cause_of_connect(problem)))
                continue
            self._watch.passed(Phase.CONNECT, _tries([*tried, (ip, None)]))
            return ip, transport
        last = tried[-1] if tried else (None, Cause.UNREACHABLE)
        raise SessionFailed(Failure(Phase.CONNECT, last[1], ip=last[0], detail=_tries(tried)))

    def _open(self, ip: str, transport: Transport) -> Opened:
        deadline = clock.monotonic() + 2 * self._bundle.command_timeout
        tls = None
        if self._bundle.encryption is Encryption.TLS:
            tls = self._handshake(ip, transport)
        listener = self._watch if self._observed else None
        dialogue = Dialogue(
            self._bundle,
            ip=ip,
            encrypted=tls is not None,
            token=self._token,
            listener=listener,
        )
        while True:
            events = exchange(dialogue, transport, self._bundle.command_timeout, deadline)
            # First: what the server says too much behind its last answer ends a session that was
            # ready a moment before.
            if ended := next((event for event in events if isinstance(event, Ended)), None):
                raise SessionFailed(_ended(ended, transport))
            for event in events:
                if isinstance(event, StartTls):
                    tls = self._handshake(ip, transport)
                    dialogue.tls_established()
                elif isinstance(event, Ready):
                    return Opened(dialogue, transport, ip, tls, self._watch)

    def _handshake(self, ip: str, transport: Transport) -> Tls:
        bundle = self._bundle
        deadline = clock.monotonic() + bundle.connect_timeout
        try:
            context = context_for(verify=bundle.verify, ca=bundle.ca)
            connection = transport.upgrade(context, _host(bundle), deadline)
        except UnreadableAuthority as problem:
            failure = Failure(Phase.TLS, Cause.TLS_UNTRUSTED, ip=ip, detail=str(problem))
            raise SessionFailed(failure) from None
        except (OSError, ValueError) as problem:
            raise SessionFailed(self._tls_failure(ip, problem)) from problem
        tls = tls_of(connection, verified=bundle.verify)
        self._watch.passed(Phase.TLS, f"{tls.version} {tls.cipher}; {describe(tls)}")
        return tls

    def _tls_failure(self, ip: str, problem: OSError | ValueError) -> Failure:
        if not isinstance(problem, OSError):  # a name that no certificate could hold
            return Failure(Phase.TLS, Cause.TLS_WRONG_NAME, ip=ip, detail=str(problem))
        cause = cause_of_tls(problem)
        detail = problem.reason if isinstance(problem, ssl.SSLError) else None
        if isinstance(problem, ssl.SSLCertVerificationError):
            detail = problem.verify_message.rstrip(".")
        refused = self._certificate(ip) if cause in _BAD_CERTIFICATE else None
        shown = describe(refused) if refused else None
        if cause is Cause.TLS_EXPIRED and (over := self._ended_authority(refused)):
            cause, shown = Cause.TLS_AUTHORITY_EXPIRED, over
        return Failure(Phase.TLS, cause, ip=ip, detail=f"{detail}; {shown}" if shown else detail)

    def _ended_authority(self, refused: Tls | None) -> str | None:
        """The pasted certificate that is over, where that is why: the server's own is not."""
        now = clock.utcnow()
        if refused is None or (refused.not_after and refused.not_after <= now):
            return None
        return next(iter(ended(self._bundle.ca or "", now)), None)

    def _certificate(self, ip: str) -> Tls | None:
        """The refused certificate, from a second connection without verification.

        A refused handshake keeps none. Nothing but EHLO and STARTTLS is said there.
        """
        bare = replace(self._bundle, verify=False, authentication=Authentication.NONE, secret=None)
        look = Opening(bare, self._guard, None)
        try:
            transport = connect(ip, bare.port, clock.monotonic() + bare.connect_timeout)
        except OSError:
            return None
        try:
            opened = look._open(ip, transport)
        except SessionFailed:
            return None
        finally:
            transport.close()
        return opened.tls


def _host(bundle: Bundle) -> str:
    return bundle.server.strip("[]")


def _tries(tried: Sequence[tuple[str, Cause | None]]) -> str:
    return "; ".join(f"{ip}: {cause}" if cause else ip for ip, cause in tried)


def _ended(event: Ended, transport: Transport) -> Failure:
    failure = event.failure or Failure(Phase.QUIT, Cause.CONNECTION_LOST)
    if failure.code is not None and failure.code != 421:
        _say_goodbye(transport)
    return failure


def _say_goodbye(transport: Transport) -> None:
    try:
        transport.write(b"QUIT\r\n", clock.monotonic() + 1)
    except Lost:
        return
