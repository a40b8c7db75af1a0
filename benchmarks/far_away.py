"""A server far away: a TCP proxy that keeps every byte for half of the round trip, each way.

In a process of its own; the bytes stay in order, and their number is not limited. A connection
takes a round trip before the server hears of it, as the three packets of TCP do.
"""

import asyncio
import multiprocessing
import selectors
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

_CHUNK = 65536
_TRIES = 25


@contextmanager
def far_away(port: int, round_trip: float) -> Iterator[int]:
    """The port of this machine behind which that port answers so many seconds away."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(port, round_trip / 2, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def measured(port: int) -> float:
    """The round trip to an SMTP server, median of some NOOPs, in seconds."""
    found = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.recv(_CHUNK)
        for _ in range(_TRIES):
            start = time.perf_counter()
            connection.sendall(b"NOOP\r\n")
            connection.recv(_CHUNK)
            found.append(time.perf_counter() - start)
    return statistics.median(found)


def _run(port: int, one_way: float, told: Connection) -> None:
    # select(2) sleeps to the microsecond; epoll rounds up to a millisecond.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    loop.run_until_complete(_serve(port, one_way, told))


async def _serve(port: int, one_way: float, told: Connection) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The packets of the set-up: there, back, and there again.
        await asyncio.sleep(3 * one_way)
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_carry(reader, back, one_way), _carry(there, writer, one_way))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=256)
    told.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """One direction; the end of the stream is late as well."""
    loop = asyncio.get_running_loop()
    on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def take() -> None:
        data = b"begun"
        while data:
            try:
                data = await reader.read(_CHUNK)
            except ConnectionError:
                data = b""
            on_the_way.put_nowait((loop.time() + delay, data))

    taking = asyncio.create_task(take())
    while True:
        due, data = await on_the_way.get()
        await asyncio.sleep(max(0.0, due - loop.time()))
        if not data or writer.is_closing():
            break
        writer.write(data)
    await taking
    writer.close()
