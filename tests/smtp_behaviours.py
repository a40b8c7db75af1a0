"""Ways in which the scripted SMTP server misbehaves; they combine by `then`."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.smtp_talk import Talk


class Dropped(Exception):
    """The server closes this connection now."""


Behaviour = Callable[["Talk"], None]
Script = Mapping[str, Behaviour | Sequence[Behaviour | None]]


def reply(*lines: str) -> Behaviour:
    """Answers with these whole lines, code first: `reply("250-a", "250 b")`."""
    return lambda talk: talk.say(*lines)


def drop() -> Behaviour:
    """Closes the connection without a word."""

    def behave(talk: "Talk") -> None:
        raise Dropped

    return behave


def hang() -> Behaviour:
    """Says nothing until the client gives up or the server stops."""

    def behave(talk: "Talk") -> None:
        talk.wait_for_the_end()
        raise Dropped

    return behave


def wait(seconds: float) -> Behaviour:
    """Waits; follow it with `then(wait(1), reply("250 ok"))`."""
    return lambda talk: talk.pause(seconds)


def raw(data: bytes) -> Behaviour:
    """Sends these bytes as they are."""
    return lambda talk: talk.send(data)


def drip(data: bytes, *, every: float) -> Behaviour:
    """Sends one byte each so many seconds."""

    def behave(talk: "Talk") -> None:
        for byte in data:
            talk.send(bytes([byte]))
            talk.pause(every)

    return behave


def endless(code: int) -> Behaviour:
    """A multi-line reply without end."""

    def behave(talk: "Talk") -> None:
        while not talk.stopping:
            talk.send(b"%d-and so on\r\n" % code * 100)
        raise Dropped

    return behave


def long_line(length: int = 20_000) -> Behaviour:
    return raw(b"250 " + b"x" * length + b"\r\n")


def read_body(size: int) -> Behaviour:
    """For `body`: reads so many bytes of the content before what follows."""
    return lambda talk: talk.read_some(size)


def then(*behaviours: Behaviour) -> Behaviour:
    """One after another: `then(reply("250 ok"), drop())`."""

    def behave(talk: "Talk") -> None:
        for behaviour in behaviours:
            behaviour(talk)

    return behave
