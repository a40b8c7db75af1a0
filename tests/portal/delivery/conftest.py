from tests.delivery_fixtures import acme, cast, globex, ledger, server, session

__all__ = ["acme", "cast", "globex", "ledger", "server", "session"]
