"""Deliveries share a template only where their letters are the same."""

import uuid
from dataclasses import replace
from typing import Any

import pytest

from portal.delivery.letter_templates import TemplateKey, key
from portal.kinds import ALL, BY_KEY
from portal.letters.compose import compose
from tests.portal.letters.samples import DATA, GLOBEX, ZONE

SAME: dict[str, Any] = {
    "payload_id": uuid.UUID(int=1),
    "language": "en",
    "timezone": ZONE,
    "identity": GLOBEX,
    "from_name": "Globex",
    "from_address": "alerts@globex.example",
    "reply_to": None,
    "references": (),
}


def _key(kind: str = "alert.raised", **changes: Any) -> TemplateKey | None:
    return key(BY_KEY[kind], DATA[kind], **(SAME | changes))


@pytest.mark.parametrize(
    "change",
    [
        {"payload_id": uuid.UUID(int=2)},
        {"language": "zh"},
        {"timezone": "UTC"},
        {"identity": replace(GLOBEX, footer="Another")},
        {"identity": replace(GLOBEX, accent="#112233")},
        {"from_name": "Another"},
        {"from_address": "other@globex.example"},
        {"reply_to": "help@globex.example"},
        {"references": ("<a@b>",)},
    ],
)
def test_whatever_changes_a_letter_changes_its_key(change: dict[str, Any]) -> None:
    assert _key() == _key()
    assert _key() != _key(**change)


def test_security_mail_and_letters_with_secrets_never_have_a_template() -> None:
    without = {kind.key for kind in ALL if _key(kind.key) is None}

    assert without == {
        "security.password_recovery",
        "security.invitation",
        "approval.requested",
    }


@pytest.mark.parametrize("kind", [kind for kind in ALL if _key(kind.key)], ids=lambda k: str(k.key))
def test_letters_of_equal_keys_are_equal_in_every_time_zone(kind: Any) -> None:
    letters = [
        compose(kind, DATA[kind.key], identity=GLOBEX, language="en", timezone=zone)
        for zone in (ZONE, "UTC")
    ]

    same_key = _key(kind.key, timezone=ZONE) == _key(kind.key, timezone="UTC")
    assert same_key == (letters[0] == letters[1])
