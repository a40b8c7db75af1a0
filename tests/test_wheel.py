"""The wheel is whole: installed elsewhere, it migrates, starts, serves pages and stops."""

import re
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import urllib.error
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUNDLED = ("templates", "static", "migrations")
READY_WITHIN = 60.0


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


def test_the_wheel_carries_every_module_and_no_test(wheel: Path) -> None:
    carried = set(zipfile.ZipFile(wheel).namelist())
    wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "portal").rglob("*.py")}
    assert wanted <= carried, f"left out: {sorted(wanted - carried)}"
    assert not [name for name in carried if name.startswith("tests/")]


@pytest.mark.xdist_group("wheel")
def test_a_portal_from_the_wheel_starts_serves_and_stops(installed: Path, tmp_path: Path) -> None:
    python = installed / "bin" / "python"
    place = run(python, "-c", "import portal; print(portal.__file__)", where=tmp_path)
    assert Path(place.strip()).is_relative_to(installed)
    with started(installed, tmp_path) as address:
        page = fetch(f"{address}/sign-in")
        sheet = re.search(r'href="(/static/[^"]+\.css[^"]*)"', page)
        assert sheet, f"no stylesheet in {page[:1000]}"
        assert "{" in fetch(address + sheet.group(1))


@contextmanager
def started(installed: Path, folder: Path) -> Iterator[str]:
    """`portal up` on a free port with a data folder of its own, until the block ends."""
    port = free_port()
    log = folder / "console.txt"
    environment = {"PATH": "/usr/bin:/bin", "PORTAL_DATA_DIR": str(folder / "data")}
    command = [installed / "bin" / "portal", "up", "--port", str(port)]
    with log.open("w") as console:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=console, stderr=subprocess.STDOUT
        )
        try:
            address = f"http://127.0.0.1:{port}"
            assert is_ready(address, process), f"not ready:\n{log.read_text()}"
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=READY_WITHIN)
    assert code == 0, f"ended with {code}:\n{log.read_text()}"


def is_ready(address: str, process: "subprocess.Popen[bytes]") -> bool:
    pause = threading.Event()
    for _ in range(int(READY_WITHIN / 0.2)):
        if process.poll() is not None:
            return False
        try:
            fetch(f"{address}/health/ready")
        except (urllib.error.URLError, ConnectionError):
            pause.wait(0.2)
        else:
            return True
    return False


def fetch(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as answer:
        content: bytes = answer.read()
    return content.decode()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def run(*command: str | Path, where: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
