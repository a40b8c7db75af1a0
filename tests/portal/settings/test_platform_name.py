"""An organization does not call itself like the platform, whose sender may carry its mail."""

from typing import Any

import pytest

from portal.audit.log import OPERATOR, Actor, ActorType
from portal.identity import organizations
from portal.identity.models import Organization
from portal.settings import changes, effective, senders
from portal.settings.scope import HOST, Scope
from portal.settings.senders import Keep
from portal.validation import Invalid

ADMINISTRATOR = Actor(ActorType.USER, "1", "192.0.2.1", "Carol")
PLATFORM: dict[str, Any] = {
    "display_name": "Acme Mailer",
    "from_address": "no-reply@acme.test",
    "server": "relay.acme.test",
}


def globex() -> Organization:
    senders.save(HOST, "platform", PLATFORM, secret=Keep(), actor=OPERATOR, activate=True)
    changes.save_mail_settings(HOST, {"display_name": "Acme Cloud"}, actor=OPERATOR)
    return organizations.create(name="Globex", short_name="globex", actor=OPERATOR)


def test_the_name_of_the_platform_is_refused_however_it_is_spelled(session: Any) -> None:
    scope = Scope.of(globex())
    for name in (
        *("Acme Cloud", "ACME cloud", "Acme  Cloud.", "\uff21cme-Cloud", "\u201cAcme Cloud\u201d"),
        *("Acme Cloud (via Acme Cloud)", "Acme Cloud (support)", "(Acme Cloud)", "acme mailer"),
    ):
        with pytest.raises(Invalid) as refused:
            changes.save_mail_settings(scope, {"display_name": name}, actor=ADMINISTRATOR)
        (error,) = refused.value.errors
        assert error.field == "display_name", name
        assert "Enter the name of your organization." in error.message
    assert effective.settings_of(scope).display_name is None


def test_other_names_are_taken_and_the_hosts_side_may_take_any(session: Any) -> None:
    scope = Scope.of(globex())
    for name in (
        "Globex",
        "Globex at Acme Cloud",
        "\u6d4b\u8bd5",
        "!",
        "Globex (Acme Cloud)",
        None,
    ):
        changes.save_mail_settings(scope, {"display_name": name}, actor=ADMINISTRATOR)
        assert effective.settings_of(scope).display_name == name
    changes.save_mail_settings(scope, {"display_name": "Acme Cloud"}, actor=OPERATOR)
    kept = {"display_name": "Acme Cloud", "title_prefix": "[G]"}
    assert changes.save_mail_settings(scope, kept, actor=ADMINISTRATOR) == ["title_prefix"]
