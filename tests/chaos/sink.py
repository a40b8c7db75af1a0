"""An SMTP server in a process of its own, quick enough for thousands of mails, that writes down
every message at its final dot, before it answers.

Told so, it closes the connection after a final dot without a word: half of those messages it has
taken nevertheless, as a server may that fails between its queue and its reply.
"""

import asyncio
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from tests.chaos.processes import context

_HELLO = (
    b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
    b"250-ENHANCEDSTATUSCODES\r\n250 SIZE 10485760\r\n"
)
_END = b"\r\n.\r\n"


class Fate(StrEnum):
    """What became of a message whose final dot has come."""

    ANSWERED = "answered"
    TAKEN = "taken, and dropped without a reply"
    LOST = "dropped without a reply"


@dataclass(frozen=True)
class Dot:
    """A message at its final dot. `content` holds its header; `at` is Unix time."""

    fate: Fate
    mail_from: str
    recipients: tuple[str, ...]
    content: bytes
    at: float

    @property
    def is_copy(self) -> bool:
        """The recipient has it."""
        return self.fate is not Fate.LOST


@dataclass(frozen=True)
class Manners:
    """How a server behaves: `drops` names final dots by their number from 0, `latency` is the
    longest time in seconds from a final dot to its reply, `drip` the time for each byte it says."""

    drops: Mapping[int, Fate] = field(default_factory=dict)
    latency: float = 0.0
    drip: float = 0.0


class Journal:
    """What a sink has written down so far. `new` gives each entry once."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file = path.open("rb")
        self._rest = b""
        self.dots: list[Dot] = []

    def read(self) -> list[Dot]:
        """Everything until now."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        self.dots += map(_parsed, lines)
        return self.dots

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@contextmanager
def running(
    journal: Path, manners: Manners, *, port: int = 0, enter: Callable[[], None] | None = None
) -> Iterator[int]:
    """A sink until the block ends; gives its port, by default a free one. `enter` is called first
    in its process: it may go to another network."""
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_serve, args=(journal, manners, port, enter, theirs), daemon=True
    )
    process.start()
    try:
        yield ours.recv()
    finally:
        process.kill()
        process.join()


def _serve(
    journal: Path,
    manners: Manners,
    port: int,
    enter: Callable[[], None] | None,
    told: Connection,
) -> None:
    if enter is not None:
        enter()
    asyncio.run(_Sink(journal, manners).run(port, told.send))


class _Sink:
    def __init__(self, journal: Path, manners: Manners) -> None:
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._manners = manners
        self._count = 0

    async def run(self, port: int, tell: Callable[[int], None]) -> None:
        server = await asyncio.start_server(self._talk, "127.0.0.1", port, backlog=512)
        tell(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._session(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mail_from = ""
        recipients: list[str] = []
        await self._say(writer, b"220 sink.test ESMTP\r\n")
        while line := await reader.readline():
            answer = b"250 2.0.0 ok\r\n"
            match line[:4].upper():
                case b"EHLO":
                    answer = _HELLO
                case b"MAIL":
                    mail_from, recipients = _address(line), []
                case b"RCPT":
                    recipients.append(_address(line))
                case b"DATA":
                    await self._say(writer, b"354 go ahead\r\n")
                    content = await reader.readuntil(_END)
                    if not await self._take(mail_from, tuple(recipients), content):
                        return
                case b"QUIT":
                    await self._say(writer, b"221 2.0.0 bye\r\n")
                    return
            await self._say(writer, answer)

    async def _take(self, mail_from: str, recipients: tuple[str, ...], content: bytes) -> bool:
        """Whether the reply is to follow."""
        fate = self._manners.drops.get(self._count, Fate.ANSWERED)
        self._count += 1
        header = content.partition(b"\r\n\r\n")[0]
        dot = Dot(fate, mail_from, recipients, header, time.time())
        os.write(self._journal, _line(dot))
        if self._manners.latency:
            await asyncio.sleep(random.uniform(0, self._manners.latency))
        return fate is Fate.ANSWERED

    async def _say(self, writer: asyncio.StreamWriter, reply: bytes) -> None:
        if not self._manners.drip:
            writer.write(reply)
        for position in range(len(reply) if self._manners.drip else 0):
            writer.write(reply[position : position + 1])
            await writer.drain()
            await asyncio.sleep(self._manners.drip)
        await writer.drain()


def _address(line: bytes) -> str:
    return line.partition(b"<")[2].partition(b">")[0].decode()


def _line(dot: Dot) -> bytes:
    return json.dumps(asdict(dot) | {"content": dot.content.decode("latin-1")}).encode() + b"\n"


def _parsed(line: bytes) -> Dot:
    raw = json.loads(line)
    return Dot(
        Fate(raw["fate"]),
        raw["mail_from"],
        tuple(raw["recipients"]),
        raw["content"].encode("latin-1"),
        raw["at"],
    )
