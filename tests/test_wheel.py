"""The wheel is whole: installed elsewhere, it migrates, starts, serves pages and stops."""

import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.running import running

ROOT = Path(__file__).resolve().parents[1]
# Built once, by one worker.
pytestmark = pytest.mark.xdist_group("wheel")
BUNDLED = ("templates", "static", "migrations")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel; its dependencies are those of this one."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    run(
        sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel
    )
    # A path in a .pth file brings the packages along, but not our editable install: .pth files
    # below such a path are not read.
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_the_wheel_carries_templates_static_files_and_migrations(wheel: Path) -> None:
    carried = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        f"portal/bundled/{path.relative_to(ROOT).as_posix()}"
        for name in BUNDLED
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted, "nothing to carry"
    assert wanted <= carried, f"left out: {sorted(wanted - carried)}"


def test_the_wheel_carries_every_module_and_catalogue_and_no_test(wheel: Path) -> None:
    carried = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "portal").rglob("*")
        if path.suffix in (".py", ".toml")
    }
    assert wanted <= carried, f"left out: {sorted(wanted - carried)}"
    assert not [name for name in carried if name.startswith("tests/")]


def test_a_portal_from_the_wheel_starts_serves_and_stops(installed: Path, tmp_path: Path) -> None:
    python = installed / "bin" / "python"
    place = run(python, "-c", "import portal; print(portal.__file__)", where=tmp_path)
    assert Path(place.strip()).is_relative_to(installed)
    with running(tmp_path, executable=installed / "bin" / "portal") as portal:
        page = portal.fetch("/sign-in")
        sheet = re.search(r'href="(/static/[^"]+\.css[^"]*)"', page)
        assert sheet, f"no stylesheet in {page[:1000]}"
        assert "{" in portal.fetch(sheet.group(1))


def run(*command: str | Path, where: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
