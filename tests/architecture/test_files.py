"""What the repository must hold, and what it must not."""

import hashlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

TOP_LEVEL = (
    "README.md",
    "STYLE.md",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "pyproject.toml",
    "requirements.lock",
    "wsgi.py",
    ".ci/run",
    "docs/why.md",
)
# Put together here, so that this file does not find itself.
MACHINE_PATHS = re.compile(r"(?<![\w.:/-])/(?:work|root|home|opt|Users)/[\w.-]+")
REGISTRIES = re.compile(
    "|".join(
        re.escape(left + right)
        for left, right in (
            ("pypi", ".org"),
            ("files.python", "hosted.org"),
            ("registry.npm", "js.org"),
            ("deb.debian", ".org"),
            ("--index", "-url"),
            ("--find", "-links"),
        )
    )
)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    names = listed.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_the_repository_has(name: str) -> None:
    path = ROOT / name
    assert path.is_file(), f"{name} is missing"
    assert path.read_text(encoding="utf-8").strip(), f"{name} is empty"


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for pattern in (MACHINE_PATHS, REGISTRIES):
            found += [f"{path.relative_to(ROOT)}: {match}" for match in pattern.findall(text)]
    assert not found, "\n".join(found)


def test_the_lock_pins_every_package_with_hashes_and_names_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", lock.strip())
    unpinned = [entry.splitlines()[0] for entry in entries if not _is_pinned(entry)]
    assert not unpinned, f"without version or hash: {unpinned}"
    assert "://" not in lock


def test_the_lock_holds_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    locked = set(
        re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.M)
    )
    names = {match.group() for line in asked if (match := re.match(r"[\w.-]+", line))}
    missing = sorted(name for name in names - {"gatepost"} if name.lower() not in locked)
    assert not missing, f"not in requirements.lock: {missing}; the cure stands in STYLE.md"


def test_make_help_lists_every_command() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (declared,) = re.findall(r"^\.PHONY:(.*)$", makefile, re.M)
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = re.findall(r"^\s*make ([\w-]+)\s+\S", shown.stdout, re.M)
    assert sorted(listed) == sorted(declared.split())


def test_vendored_files_are_what_their_list_says() -> None:
    listed = tomllib.loads((ROOT / "static/vendor/vendor.toml").read_text(encoding="utf-8"))["file"]
    for entry in listed:
        content = (ROOT / "static" / entry["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], f"{entry['path']} changed"
        assert entry["name"] and entry["version"] and entry["license"]
        assert (ROOT / "static" / entry["license_file"]).is_file()


def test_every_vendored_file_is_listed() -> None:
    listed = tomllib.loads((ROOT / "static/vendor/vendor.toml").read_text(encoding="utf-8"))["file"]
    known = {ROOT / "static" / entry[key] for entry in listed for key in ("path", "license_file")}
    known.add(ROOT / "static/vendor/vendor.toml")
    present = {path for path in (ROOT / "static/vendor").rglob("*") if path.is_file()}
    assert present <= known, f"not in vendor.toml: {sorted(str(p) for p in present - known)}"


def _is_pinned(entry: str) -> bool:
    return bool(re.match(r"[\w.\[\]-]+==\S+", entry)) and "--hash=sha256:" in entry
