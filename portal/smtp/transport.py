"""A connected socket with wall-clock deadlines, plain or TLS."""

import errno
import socket
import ssl

from portal import clock
from portal.smtp.causes import Cause

_AT_ONCE = 65536


class Lost(Exception):
    """The connection is gone or time is up; `unsent` bytes of a write never left."""

    def __init__(self, cause: Cause, detail: str, unsent: int = 0) -> None:
        self.cause = cause
        self.detail = detail
        self.unsent = unsent
        super().__init__(detail)


class Transport:
    """Deadlines are instants of `clock.monotonic`: a peer that drips bytes does not move them."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    @property
    def tls(self) -> ssl.SSLSocket | None:
        return self._socket if isinstance(self._socket, ssl.SSLSocket) else None

    def fileno(self) -> int:
        return self._socket.fileno()

    def push(self, data: bytes | bytearray | memoryview) -> int:
        """Writes what the network takes at once; how many bytes that were. Raises Lost."""
        view = memoryview(data)
        done = 0
        self._never_wait()
        try:
            while done < len(view):
                done += self._socket.send(view[done : done + _AT_ONCE])
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return done
        except OSError as problem:
            raise _lost(problem, unsent=len(view) - done) from problem
        finally:
            view.release()
        return done

    def upgrade(self, context: ssl.SSLContext, name: str, deadline: float) -> ssl.SSLSocket:
        """The TLS handshake, with the certificate checked against the name. Raises OSError."""
        self._socket = context.wrap_socket(
            self._socket, server_hostname=name, do_handshake_on_connect=False
        )
        self._socket.settimeout(_remaining(deadline))
        self._socket.do_handshake()
        return self._socket

    def write(self, data: bytes, deadline: float) -> None:
        """Raises Lost with the number of bytes that were not handed to the network."""
        view = memoryview(data)
        try:
            while view:
                self._socket.settimeout(_remaining(deadline))
                view = view[self._socket.send(view[:_AT_ONCE]) :]
        except OSError as problem:
            raise _lost(problem, unsent=len(view)) from problem

    def read(self, deadline: float) -> bytes:
        """At least one byte. Raises Lost."""
        try:
            self._socket.settimeout(_remaining(deadline))
            data = self._socket.recv(_AT_ONCE)
        except OSError as problem:
            raise _lost(problem) from problem
        if not data:
            raise Lost(Cause.CONNECTION_LOST, "the server closed the connection")
        return data

    def glance(self) -> bytes:
        """What the peer has said unasked so far, without waiting. Raises Lost where it closed."""
        try:
            self._never_wait()
            data = self._socket.recv(_AT_ONCE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return b""
        except OSError as problem:
            raise _lost(problem) from problem
        if not data:
            raise Lost(Cause.CONNECTION_LOST, "the server closed the connection")
        return data

    def close(self) -> None:
        try:
            self._socket.close()
        except OSError:
            return

    def _never_wait(self) -> None:
        # To set it is a system call each time, to ask is none.
        if self._socket.gettimeout() != 0:
            self._socket.settimeout(0)


def connect(ip: str, port: int, deadline: float) -> Transport:
    """Raises OSError."""
    connection = socket.create_connection((ip, port), timeout=_remaining(deadline))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Transport(connection)


def cause_of_connect(problem: OSError) -> Cause:
    """Why no connection came about."""
    if isinstance(problem, TimeoutError):
        return Cause.CONNECT_TIMEOUT
    if isinstance(problem, ConnectionRefusedError):
        return Cause.CONNECT_REFUSED
    return Cause.UNREACHABLE


def _remaining(deadline: float) -> float:
    left = deadline - clock.monotonic()
    if left <= 0:
        raise TimeoutError(errno.ETIMEDOUT, "the deadline has passed")
    return left


def _lost(problem: OSError, unsent: int = 0) -> Lost:
    if isinstance(problem, TimeoutError):
        return Lost(Cause.TIMEOUT, "no answer in time", unsent)
    if isinstance(problem, ssl.SSLError):
        return Lost(Cause.CONNECTION_LOST, f"TLS: {problem.reason or 'failed'}", unsent)
    name = errno.errorcode.get(problem.errno or 0, type(problem).__name__)
    return Lost(Cause.CONNECTION_LOST, name, unsent)
