"""A lock that keeps everybody from writing mail down: what another process can do to a portal."""

from typing import Any

from sqlalchemy import create_engine, text

from portal.config import Config


class Lock:
    """Lets nobody write to the database, from another connection: a commit waits.

    Also a behaviour of the SMTP server: it takes the lock and goes on. `release` ends it.
    """

    def __init__(self, config: Config) -> None:
        self._engine = create_engine(config.database_url, isolation_level="AUTOCOMMIT")
        self._connection = self._engine.connect()
        self._is_sqlite = config.is_sqlite

    def __call__(self, _: Any = None) -> None:
        begin = "BEGIN IMMEDIATE" if self._is_sqlite else "BEGIN"
        self._connection.execute(text(begin))
        if not self._is_sqlite:
            self._connection.execute(text("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE"))

    def release(self) -> None:
        self._connection.execute(text("ROLLBACK"))
        self._connection.close()
        self._engine.dispose()
