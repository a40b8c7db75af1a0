"""An organization never learns the host's server; the host's side sees everything."""

import pytest

from portal.delivery.models import Delivery, Level
from portal.records.visibility import Route, route_of

DELIVERY = Delivery(
    server="relay.host.test", ip="192.0.2.7", reply="250 queued at Relay.Host.Test [192.0.2.7]"
)


@pytest.mark.parametrize("level", [Level.HOST, Level.FALLBACK])
def test_the_host_server_is_hidden_from_an_organization(level: Level) -> None:
    assert route_of(DELIVERY, level=level, at_host=False) == Route(
        None, None, "250 queued at the platform's server [the platform's server]"
    )


def test_the_host_sees_its_own_server() -> None:
    shown = route_of(DELIVERY, level=Level.HOST, at_host=True)
    assert shown == Route(DELIVERY.server, DELIVERY.ip, DELIVERY.reply)


def test_an_organization_sees_its_own_server() -> None:
    shown = route_of(DELIVERY, level=Level.ORGANIZATION, at_host=False)
    assert shown == Route(DELIVERY.server, DELIVERY.ip, DELIVERY.reply)


def test_what_is_not_known_yet_is_nothing() -> None:
    assert route_of(Delivery(), level=None, at_host=False) == Route(None, None, None)
