"""Every kind of notification has its letters, in every language."""

import pytest

from portal import kinds
from portal.kinds import Kind
from tests.architecture.source import ROOT

MAIL = ROOT / "templates" / "mail"
LANGUAGES = ("en", "zh")
PARTS = ("subject", "text", "html")


def key_of(kind: Kind) -> str:
    return kind.key


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", kinds.ALL, ids=key_of)
def test_a_kind_has_its_letters(kind: Kind, language: str) -> None:
    for part in PARTS:
        letter = MAIL / kind.key / f"{language}.{part}.liquid"
        assert letter.is_file(), f"{letter.relative_to(ROOT)} is missing"
        assert letter.read_text(encoding="utf-8").strip(), f"{letter.relative_to(ROOT)} is empty"


def test_no_letter_is_without_a_kind() -> None:
    folders = {path.name for path in MAIL.iterdir() if path.is_dir()}
    assert folders <= set(kinds.BY_KEY), f"no kind of: {sorted(folders - set(kinds.BY_KEY))}"


@pytest.mark.parametrize("kind", kinds.ALL, ids=key_of)
def test_the_key_of_a_kind_begins_with_its_category(kind: Kind) -> None:
    category, _, name = kind.key.partition(".")
    assert category == kind.category
    assert name.replace("_", "").isalpha()


@pytest.mark.parametrize("kind", kinds.ALL, ids=key_of)
def test_the_secrets_of_a_kind_are_among_its_variables(kind: Kind) -> None:
    assert set(kind.secrets) <= set(kind.variables)


def test_security_mail_cannot_be_muted() -> None:
    assert not [kind.key for kind in kinds.ALL if kind.is_security and kind.mutable]
