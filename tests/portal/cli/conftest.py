"""Settings files in a folder of their own, beside the secrets that they point to."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import smtp_certificates
from tests.databases import Database

EXAMPLE = Path(__file__).with_name("globex.yaml")
PASSWORD = "seven blue lamps in a row"
GLOBEX_PASSWORD = "canary of globex"

Write = Callable[[str], Path]


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> dict[str, str]:
    """The environment of a command on a fresh, migrated database."""
    return {"PORTAL_DATABASE_URL": database.url, "PORTAL_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with the secrets of the example; what a test writes is its owner's alone."""
    before = os.umask(0o077)
    folder = tmp_path / "settings"
    folder.mkdir()
    for name in ("root.pw", "ann.pw", "bob.pw"):
        (folder / name).write_text(PASSWORD + "\n")
    (folder / "globex.pw").write_text(GLOBEX_PASSWORD + "\n")
    (folder / "globex-ca.pem").write_text(smtp_certificates.valid().ca)
    yield folder
    os.umask(before)


@pytest.fixture
def write(folder: Path) -> Write:
    """Writes a settings file into the folder."""

    def write(text: str) -> Path:
        path = folder / "globex.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def example(write: Write) -> Path:
    return write(EXAMPLE.read_text())
