"""Letters as they leave. After a wanted change: PORTAL_UPDATE_SNAPSHOTS=1 pytest <this file>."""

import os
from pathlib import Path

import pytest

from portal.kinds import ALL, Kind
from portal.letters.compose import compose
from portal.letters.words import LANGUAGES, Language
from tests.portal.letters.samples import DATA, GLOBEX, ZONE

FOLDER = Path(__file__).parent / "snapshots"
UPDATE = os.environ.get("PORTAL_UPDATE_SNAPSHOTS") == "1"
every_letter = pytest.mark.parametrize(
    ("kind", "language"),
    [(kind, language) for kind in ALL for language in LANGUAGES],
    ids=lambda value: getattr(value, "key", value),
)


@every_letter
def test_a_letter_reads_as_it_did_before(kind: Kind, language: Language) -> None:
    letter = compose(kind, DATA[kind.key], identity=GLOBEX, language=language, timezone=ZONE)
    name = f"{kind.key}.{language}"
    _compare(FOLDER / f"{name}.txt", f"Subject: {letter.subject}\n\n{letter.text}")
    _compare(FOLDER / f"{name}.html", letter.html)


def test_no_snapshot_is_left_of_a_letter_that_is_gone() -> None:
    names = {f"{kind.key}.{language}" for kind in ALL for language in LANGUAGES}
    assert {file.stem for file in FOLDER.iterdir()} == names


def _compare(file: Path, found: str) -> None:
    if UPDATE:
        file.parent.mkdir(exist_ok=True)
        file.write_text(found, encoding="utf-8")
    assert found == file.read_text(encoding="utf-8")
