"""A file that grows beyond a screen or ten holds two things."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

LONGEST = 400


@pytest.mark.parametrize("folder", ["portal", "tests", "templates", "benchmarks", "migrations"])
def test_no_file_is_longer_than_400_lines(folder: str) -> None:
    long = [
        f"{path.relative_to(ROOT)}: {count} lines"
        for path in _texts(folder)
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST
    ]
    assert not long, "Split by what belongs together:\n" + "\n".join(long)


def _texts(folder: str) -> Iterator[Path]:
    for path in sorted((ROOT / folder).rglob("*")):
        is_ours = "vendor" not in path.parts and "versions" not in path.parts
        if is_ours and path.suffix in (".py", ".html"):
            yield path
