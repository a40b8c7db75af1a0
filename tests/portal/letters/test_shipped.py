"""Every kind has its letters, and they use what the kind declares."""

import pytest

from portal.kinds import ALL, Kind
from portal.letters import filters, liquid, shipped
from portal.letters.compose import COMMON
from portal.letters.words import LANGUAGES, Language

every_letter = pytest.mark.parametrize(
    ("kind", "language"),
    [(kind, language) for kind in ALL for language in LANGUAGES],
    ids=lambda value: getattr(value, "key", value),
)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.key)
def test_a_kind_has_its_six_files_and_no_others(kind: Kind) -> None:
    wanted = {
        shipped.path(kind, language, part) for language in LANGUAGES for part in shipped.PARTS
    }
    assert set(next(iter(wanted)).parent.iterdir()) == wanted


def test_no_folder_of_letters_is_left_without_a_kind() -> None:
    folder = shipped.path(ALL[0], "en", "text").parent.parent
    assert {entry.name for entry in folder.iterdir() if entry.is_dir()} == {k.key for k in ALL}


@every_letter
def test_a_letter_uses_exactly_the_declared_variables(kind: Kind, language: Language) -> None:
    source = shipped.source(kind, language)
    plain = filters.text_environment(language)
    subject = _variables(liquid.parse(source.subject, where="subject", using=plain))
    text = _variables(liquid.parse(source.text, where="text", using=plain))
    rich = filters.html_environment(language)
    html = _variables(liquid.parse(source.html, where="html", using=rich))
    common = set(COMMON) - set(kind.variables)
    assert (subject | text) - common == set(kind.variables)
    assert (subject | html) - common == set(kind.variables)


@every_letter
def test_the_version_of_a_letter_follows_its_words(kind: Kind, language: Language) -> None:
    versions = {shipped.source(other, name).version for other in ALL for name in LANGUAGES}
    assert shipped.source(kind, language).version in versions
    assert len(versions) == len(ALL) * len(LANGUAGES)


def test_a_missing_letter_is_named() -> None:
    unknown = Kind(**{**vars(ALL[0]), "key": "alert.unheard"})
    with pytest.raises(liquid.BrokenLetter, match=r"alert\.unheard/en\.subject\.liquid"):
        shipped.source(unknown, "en")


def _variables(template: liquid.BoundTemplate) -> set[str]:
    return {str(name) for name in template.analyze().globals}
