from pathlib import Path

import pytest

from portal.cli.settings_file import document, shape
from portal.cli.settings_file.document import Section, Wrong

# Each file, and its mistakes as line and words.
WRONG: dict[str, tuple[str, list[tuple[int, str]]]] = {
    "a misspelled key of a sender": (
        "organizations:\n- slug: globex\n  senders:\n  - name: main\n    usernmae: x\n",
        [(5, "unknown key 'usernmae' in organizations[0].senders[0]; did you mean 'username'?")],
    ),
    "a key like no other": (
        "hosts: {}\nzebra: 1\n",
        [
            (1, "unknown key 'hosts'; did you mean 'host'?"),
            (2, "unknown key 'zebra'; known: host, organizations"),
        ],
    ),
    "the organization's switch at an organization": (
        "organizations:\n- slug: a\n  mail: {\n    fallbck: true}\n",
        [(4, "unknown key 'fallbck' in organizations[0].mail; did you mean 'fallback'?")],
    ),
    "text for a number": (
        "host:\n  senders:\n  - name: a\n    port: smtp\n",
        [(4, "host.senders[0].port: Write a whole number here.")],
    ),
    "a negative number": (
        "host:\n  mail:\n    retention_days: -1\n",
        [(3, "host.mail.retention_days: Write a whole number here.")],
    ),
    "text for a switch": (
        "host:\n  mail:\n    enabled: maybe\n",
        [(3, "host.mail.enabled: Write true or false here.")],
    ),
    "a mapping for text": (
        "host:\n  mail:\n    footer: {a: b}\n",
        [(3, "host.mail.footer: Write text here.")],
    ),
    "text for a mapping": (
        "host: yes\n",
        [(1, "host: Write keys with values here.")],
    ),
    "text for a list": (
        "host:\n  senders: none\n",
        [(2, "host.senders: Write a list here.")],
    ),
    "a list for the file": ("- a\n", [(1, "the file: Write keys with values here.")]),
    "a missing key": (
        "organizations:\n- name: Globex\n",
        [(2, "organizations[0]: The key slug is missing.")],
    ),
    "a key twice": (
        "host:\n  mail:\n    language: en\n    language: zh\n",
        [(4, "host.mail: language stands here and on line 3.")],
    ),
    "every mistake at once": (
        "host:\n  mial: {}\norganizations:\n- slug: a\n  members:\n  - email: a@a.test\n",
        [
            (2, "unknown key 'mial' in host; did you mean 'mail'?"),
            (6, "organizations[0].members[0]: The key role is missing."),
        ],
    ),
    "an open bracket": (
        "host:\n  mail: {enabled: true\n",
        [(3, "This is not YAML: expected ',' or '}', but got '<stream end>'.")],
    ),
    "a tab": ("host:\n\tmail: {}\n", [(2, "This is not YAML: ")]),
}


def read(folder: Path, text: str) -> Section:
    path = folder / "settings.yaml"
    path.write_text(text)
    return document.read(path, shape.FILE)


@pytest.mark.parametrize(("text", "mistakes"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, text: str, mistakes: list[tuple[int, str]]
) -> None:
    with pytest.raises(Wrong) as wrong:
        read(tmp_path, text)
    found = [(problem.line, problem.message) for problem in wrong.value.problems]
    assert len(found) == len(mistakes), found
    for (line, message), (wanted_line, wanted) in zip(found, mistakes, strict=True):
        assert line == wanted_line
        assert message.startswith(wanted)


def test_values_keep_what_was_written(tmp_path: Path) -> None:
    file = read(
        tmp_path,
        "host:\n"
        "  mail: {enabled: off, title_prefix: '[A]', footer: ~, display_name: 007}\n"
        "  allowed_destinations: [10.0.0.0/8:25]\n"
        "organizations:\n"
        "- slug: on\n"
        "  mail: {mode: off}\n"
        "  senders:\n"
        "  - {name: main, port: 587, verify: yes}\n",
    )
    host, organization = file.section("host"), file.sections("organizations")[0]
    assert dict(host.section("mail").values) == {
        "enabled": False,
        "title_prefix": "[A]",
        "footer": None,
        "display_name": "007",
    }
    assert host.get("allowed_destinations") == ("10.0.0.0/8:25",)
    assert organization.get("slug") == "on"
    assert organization.section("mail").get("mode") == "off"
    sender = organization.sections("senders")[0]
    assert dict(sender.values) == {"name": "main", "port": 587, "verify": True}
    assert sender.lines["port"] == 8


@pytest.mark.parametrize("text", ["", "# nothing\n", "host:\norganizations:\n"])
def test_an_empty_file_says_nothing(tmp_path: Path, text: str) -> None:
    file = read(tmp_path, text)
    assert not file.section("host").values
    assert file.sections("organizations") == ()


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Wrong, match="cannot be read: No such file"):
        document.read(tmp_path / "nothing.yaml", shape.FILE)


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(b"host: \xff\xfe\x00")
    with pytest.raises(Wrong, match="not a YAML text"):
        document.read(path, shape.FILE)
