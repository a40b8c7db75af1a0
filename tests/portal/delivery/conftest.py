from tests.delivery_fixtures import acme, cast, globex, server, session

__all__ = ["acme", "cast", "globex", "server", "session"]
