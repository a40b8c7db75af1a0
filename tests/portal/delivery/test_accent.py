"""The accent colour of a letter is the organization's, else the host's, else the usual one."""

from typing import Any

from portal.audit.log import OPERATOR
from portal.delivery import identity
from portal.kinds import BY_KEY
from portal.letters.colours import PETROL
from portal.letters.compose import compose
from portal.settings import changes
from portal.settings.scope import HOST, Scope
from tests.cast import Cast
from tests.portal.letters.samples import DATA
from tests.portal.records.records import organization_of

_ALERT = BY_KEY["alert.raised"]


def test_the_accent_inherits_and_colours_the_letter(session: Any, cast: Cast) -> None:
    acme = organization_of(cast.acme)
    assert identity.of(acme, _ALERT).accent == PETROL
    changes.save_mail_settings(HOST, {"accent_color": "#7a1f5c"}, actor=OPERATOR)
    assert identity.of(acme, _ALERT).accent == "#7a1f5c"
    changes.save_mail_settings(Scope.of(acme), {"accent_color": "#1d4ed8"}, actor=OPERATOR)
    own = identity.of(acme, _ALERT)
    assert "#1d4ed8" in compose(_ALERT, DATA[_ALERT.key], identity=own, language="en").html
    assert identity.of(acme, BY_KEY["security.invitation"]).accent == "#7a1f5c"
    changes.save_mail_settings(Scope.of(acme), {"accent_color": None}, actor=OPERATOR)
    assert identity.of(acme, _ALERT).accent == "#7a1f5c"
