"""An organization never learns the host's server; the host's side sees everything."""

import pytest

from portal.delivery.models import Attempt, Delivery, Level
from portal.delivery.suppressions import Suppression
from portal.records.visibility import Route, route_of

NOTHING = Route(None, None, None)
# What servers really write into their replies: their own names and addresses, in every spelling.
REPLIES = (
    "2.0.0 Ok: queued as 4F1 on mx-internal-7.corp.platform.lan (10.9.8.7) by relay2",
    "2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4bQ1",
    "OK id=1sXyZ-0001 relay2 -> [fd00:10::7]:25 via MX-Internal-7",
    "4.7.0 [10.9.8.7] Our system has detected; see https://support.platform.lan/a?id=relay2",
    "4.3.2 <mx-internal-7.corp.platform.lan>: Service currently unavailable (relay2)",
    "5.1.1 <bob@x.test>: Recipient address rejected: unknown user in table relay2:ldap",
    "5.7.1 Client host rejected: cannot find your hostname, [10.9.8.7], HELO relay2.host.test",
    "5.4.14 Hop count exceeded [AM7PR01CA0033.platform.lan 2026-11-20T10:00:00Z 08DE1]",
    "Requested mail action okay RELAY.HOST.TEST ESMTP Exim 4.97 relay2 \\xe6\\x9c\\xba",
)


@pytest.mark.parametrize("level", [Level.HOST, Level.FALLBACK, None])
@pytest.mark.parametrize("kind", [Delivery, Attempt, Suppression])
@pytest.mark.parametrize("reply", REPLIES)
def test_the_host_server_is_hidden_from_an_organization_however_it_names_itself(
    reply: str, kind: type[Delivery | Attempt | Suppression], level: Level | None
) -> None:
    row = kind(server="relay.host.test", ip="192.0.2.7", reply=reply)
    assert route_of(row, level=level, at_host=False) == NOTHING
    assert route_of(row, level=level, at_host=True) == Route("relay.host.test", "192.0.2.7", reply)


def test_an_organization_sees_its_own_server() -> None:
    row = Delivery(server="relay.acme.test", ip="192.0.2.7", reply=REPLIES[0])
    shown = route_of(row, level=Level.ORGANIZATION, at_host=False)
    assert shown == Route(row.server, row.ip, row.reply)
