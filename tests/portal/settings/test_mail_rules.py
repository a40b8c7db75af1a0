"""What mail settings must look like."""

from typing import Any

import pytest

from portal.settings import mail_rules
from portal.settings.models import Mode
from portal.validation import Invalid


def parsed(*, at_host: bool = False, by_host: bool = False, **raw: Any) -> dict[str, Any]:
    return mail_rules.parse(raw, at_host=at_host, by_host=by_host)


def refused(*, at_host: bool = False, by_host: bool = False, **raw: Any) -> set[str]:
    with pytest.raises(Invalid) as caught:
        parsed(at_host=at_host, by_host=by_host, **raw)
    return {error.field for error in caught.value.errors}


@pytest.mark.parametrize("key", mail_rules.IDENTITY_KEYS)
def test_none_and_nothing_mean_inherited(key: str) -> None:
    for nothing in (None, ""):
        values: dict[str, Any] = {key: nothing}
        assert parsed(**values) == {key: None}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("title_prefix", "[Acme]\r\nBcc: all@acme.test"),
        ("title_prefix", "x" * 61),
        ("display_name", "ceo@acme.test"),
        ("reply_to", "nobody"),
        ("reply_to", "a@acme.test\nBcc: b@acme.test"),
        ("language", "fr"),
        ("footer", "bell\x07"),
        ("footer", "x" * 2001),
        ("accent_color", "teal"),
        ("accent_color", "#12345"),
        ("accent_color", "#0b5a6b;color:red"),
        ("accent_color", "#ffcc00"),
        ("retention_days", "0"),
        ("retention_days", "ever"),
        ("retention_days", True),
        ("mode", "maybe"),
        ("fallback", "yes"),
        ("title_prefix", 7),
        ("default_sender", "main\nother"),
    ],
)
def test_a_wrong_value_names_its_key(key: str, value: Any) -> None:
    assert refused(**{key: value}) == {key}


def test_all_wrong_keys_are_told_at_once() -> None:
    assert refused(language="fr", mode="x", title_prefix="[ok]") == {"language", "mode"}


def test_a_colour_has_one_spelling() -> None:
    assert parsed(accent_color=" #0B5A6B ") == {"accent_color": "#0b5a6b"}


def test_a_footer_has_lines() -> None:
    assert parsed(footer="one\r\ntwo") == {"footer": "one\ntwo"}


def test_the_unquoted_off_of_yaml_is_understood() -> None:
    assert parsed(mode=False) == {"mode": Mode.OFF}


@pytest.mark.parametrize("key", mail_rules.HOST_LOCKS)
def test_what_the_host_locks_is_changed_by_the_host_alone(key: str) -> None:
    values: dict[str, Any] = {key: 10 if key == "daily_cap" else False}
    assert refused(**values) == {key}
    assert parsed(by_host=True, **values) == values


def test_the_host_has_no_mode_and_an_organization_no_switch() -> None:
    assert refused(at_host=True, mode="own") == {"mode"}
    assert refused(enabled=False) == {"enabled"}
    assert parsed(at_host=True, enabled=False) == {"enabled": False}


def test_an_unknown_key_is_named_with_those_that_are_known() -> None:
    with pytest.raises(Invalid) as caught:
        parsed(titel="x")
    (error,) = caught.value.errors
    assert error.field == "titel"
    assert "title_prefix" in error.message
