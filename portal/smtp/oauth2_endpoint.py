"""One request to a token endpoint, guarded like a connection to a mail server.

The name is looked up once and the checked address connected to; the certificate is always
verified against the name. Every wait ends, the answer has a limit, no redirect is followed.
"""

import http.client
import io
import re
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from portal import clock
from portal.address_spelling import bracketed, with_port
from portal.destinations import Forbidden, Guard, NameNotFound
from portal.smtp.causes import Cause
from portal.smtp.oauth2_grants import Incomplete
from portal.smtp.transport import Lost, Transport, cause_of_connect, connect
from portal.smtp.trust import UnreadableAuthority, cause_of_tls, context_for
from portal.smtp.values import Bundle, Failure, Phase, SessionFailed

LONGEST_ANSWER = 65536


@dataclass(frozen=True)
class Endpoint:
    """Where tokens are asked for. `target` is the path with its query; `clear` means http."""

    host: str
    port: int
    target: str
    clear: bool

    @property
    def authority(self) -> str:
        """Host and port as the Host header wants them (RFC 9110, 7.2)."""
        is_usual = self.port == (80 if self.clear else 443)
        return bracketed(self.host) if is_usual else with_port(self.host, self.port)


@dataclass(frozen=True)
class Answer:
    """What the endpoint said; `body`, at most LONGEST_ANSWER bytes, may hold tokens."""

    endpoint: Endpoint
    status: int
    body: bytes = field(repr=False)


def read(url: str) -> Endpoint:
    """The parts of a token URL. Raises Incomplete where it is none."""
    if not url:
        raise Incomplete("the token URL is missing")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Incomplete("the token URL cannot be read") from None
    usable = re.fullmatch(r"[!-~]{1,2000}", url) and parts.hostname
    if not usable or parts.scheme not in ("https", "http"):
        raise Incomplete("the token URL does not start with https:// and a name")
    if parts.username is not None or parts.fragment:
        raise Incomplete("the token URL holds a user name or a fragment")
    clear = parts.scheme == "http"
    query = f"?{parts.query}" if parts.query else ""
    usual = 80 if clear else 443
    return Endpoint(parts.hostname or "", port or usual, (parts.path or "/") + query, clear)


def post(endpoint: Endpoint, form: dict[str, str], *, bundle: Bundle, guard: Guard) -> Answer:
    """The answer to the form, whatever it says. Raises SessionFailed where none came."""
    addresses = _addresses(endpoint, guard)
    deadline = clock.monotonic() + bundle.connect_timeout
    transport = _connected(endpoint, addresses, deadline)
    try:
        if not endpoint.clear:
            _encrypt(endpoint, transport, bundle, deadline)
        return _exchange(endpoint, form, transport, clock.monotonic() + bundle.command_timeout)
    finally:
        transport.close()


def _addresses(endpoint: Endpoint, guard: Guard) -> tuple[str, ...]:
    try:
        return guard.web_addresses(endpoint.host, endpoint.port, clear=endpoint.clear)
    except Forbidden as forbidden:
        failed = _failed(endpoint, forbidden.reason, Cause.FORBIDDEN_DESTINATION)
    except NameNotFound:
        failed = _failed(endpoint, Cause.NAME_NOT_FOUND)
    raise failed


def _connected(endpoint: Endpoint, addresses: tuple[str, ...], deadline: float) -> Transport:
    cause = Cause.UNREACHABLE
    for place, ip in enumerate(addresses):
        now = clock.monotonic()
        share = (deadline - now) / (len(addresses) - place)
        try:
            return connect(ip, endpoint.port, now + share)
        except OSError as problem:
            cause = cause_of_connect(problem)
    raise _failed(endpoint, cause)


def _encrypt(endpoint: Endpoint, transport: Transport, bundle: Bundle, deadline: float) -> None:
    """Verified also where the bundle does not verify its mail server: a secret goes out here."""
    try:
        transport.upgrade(context_for(verify=True, ca=bundle.ca), endpoint.host, deadline)
        return
    except UnreadableAuthority:
        cause = Cause.TLS_UNTRUSTED
    except ValueError as problem:  # also a name that no certificate could hold
        cause = cause_of_tls(problem) if isinstance(problem, OSError) else Cause.TLS_WRONG_NAME
    except OSError as problem:
        cause = cause_of_tls(problem)
    raise _failed(endpoint, cause)


def _exchange(
    endpoint: Endpoint, form: dict[str, str], transport: Transport, deadline: float
) -> Answer:
    try:
        transport.write(_request(endpoint, form), deadline)
        received = _Received(transport, deadline)
        response = http.client.HTTPResponse(received, method="POST")  # type: ignore[arg-type]
        response.begin()
        body = response.read(LONGEST_ANSWER + 1)
        if len(body) <= LONGEST_ANSWER:
            return Answer(endpoint, response.status, body)
        why = "the answer is too long"
    except Lost as lost:
        why = lost.cause
    except (http.client.HTTPException, ValueError):
        why = "the answer is not one of a web server"
    raise _failed(endpoint, why)


def _request(endpoint: Endpoint, form: dict[str, str]) -> bytes:
    body = urlencode(form).encode("ascii")
    head = (
        f"POST {endpoint.target} HTTP/1.1\r\n"
        f"Host: {endpoint.authority}\r\n"
        "User-Agent: Gatepost\r\n"
        "Accept: application/json\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


class _Received(io.RawIOBase):
    """The answer as a file, for http.client; ends at the deadline and at a size that no honest
    answer has."""

    def __init__(self, transport: Transport, deadline: float) -> None:
        super().__init__()
        self._transport = transport
        self._deadline = deadline
        self._left = 2 * LONGEST_ANSWER
        self._held = b""

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        if not self._held:
            self._held = self._more()
        taken, self._held = self._held[: len(target)], self._held[len(target) :]
        target[: len(taken)] = taken
        return len(taken)

    def _more(self) -> bytes:
        try:
            data = self._transport.read(self._deadline)
        except Lost as lost:
            if lost.cause is Cause.TIMEOUT:
                raise
            return b""
        self._left -= len(data)
        if self._left < 0:
            raise http.client.HTTPException
        return data


def _failed(endpoint: Endpoint, why: str, cause: Cause = Cause.TOKEN_UNAVAILABLE) -> SessionFailed:
    detail = f"token endpoint {endpoint.authority}: {why}"
    return SessionFailed(Failure(Phase.AUTH, cause, detail=detail))
