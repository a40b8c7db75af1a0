"""The page about the settings file names every key, and its example is one."""

import re
from pathlib import Path

from portal.cli.settings_file import document, shape
from portal.cli.settings_file.document import Shape, Table, Tables
from tests.architecture.source import ROOT

PAGE = (ROOT / "docs" / "settings-file.md").read_text(encoding="utf-8")


def keys(found: Shape) -> set[str]:
    if isinstance(found, Tables):
        return keys(found.of)
    if not isinstance(found, Table):
        return set()
    return set(found.keys).union(*(keys(inner) for inner in found.keys.values()))


def test_every_key_of_the_file_stands_on_its_page() -> None:
    named = set(re.findall(r"`([a-z_]+)`|^ *(?:- )?([a-z_]+):", PAGE, re.MULTILINE))
    known = {one or other for one, other in named}
    assert not keys(shape.FILE) - known


def test_the_example_of_the_page_is_a_settings_file(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "example.yaml"
    file.write_text(example, encoding="utf-8")
    section = document.read(file, shape.FILE)
    assert [one.get("slug") for one in section.sections("organizations")] == ["globex"]
