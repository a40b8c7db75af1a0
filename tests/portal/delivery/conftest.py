import pytest

from portal.audit.log import Actor, ActorType
from tests.cast import Cast
from tests.delivery_fixtures import acme, cast, globex, ledger, server, session

__all__ = ["acme", "cast", "globex", "ledger", "server", "session"]


@pytest.fixture
def carol(cast: Cast) -> Actor:
    """The Administrator of Globex: not of the host."""
    return Actor(ActorType.USER, str(cast.carol.id), "192.0.2.7", cast.carol.name)
