"""docs/operations.md is true: its blocks run, and what it and deploy/ name exists."""

import re
import subprocess
from pathlib import Path

import click
import pytest

from portal.cli import main
from portal.config import Config
from tests.portal.cli.commands import environment
from tests.running import PORTAL

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
RUNNABLE = re.findall(r"^<!-- runnable -->\n```sh\n(.*?)^```$", PAGE, re.M | re.S)
FILES = [ROOT / "docs/operations.md", *(ROOT / "deploy").rglob("*")]
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in FILES if path.is_file()}


def test_the_runnable_blocks_run_one_after_the_other(tmp_path: Path) -> None:
    assert len(RUNNABLE) == PAGE.count("<!-- runnable -->") >= 5
    settings = environment({"PORTAL_DATA_DIR": str(tmp_path / "data")})
    settings["PATH"] = f"{PORTAL.parent}:{settings['PATH']}"
    for block in RUNNABLE:
        done = subprocess.run(
            ["sh", "-eu", "-c", block],
            cwd=tmp_path,
            env=settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "rehearsal/gatepost.sqlite3").is_file()
    assert '"findings"' in (tmp_path / "doctor.json").read_text()


@pytest.mark.parametrize("name", TEXTS)
def test_commands_and_settings_that_are_named_exist(name: str) -> None:
    text = TEXTS[name]
    known = {f"PORTAL_{field.upper()}" for field in Config.__dataclass_fields__}
    assert set(re.findall(r"PORTAL_[A-Z_]+", text)) <= known | {"PORTAL_CONFIG", "PORTAL_"}
    called = re.findall(r"(?:`|bin/|^|=\w+ )portal ([a-z][^`\n|]*)", text, re.M)
    assert called or name not in ("operations.md", "gatepost-web.service")
    for line in called:
        _require_known(line.split())


def test_files_that_are_named_exist() -> None:
    named = set(re.findall(r"\bdeploy/[\w./@-]*\w|\brequirements\.lock|\bCHANGELOG\.md", PAGE))
    assert len(named) >= 6
    assert not [name for name in named if not (ROOT / name).exists()]


def test_the_sample_of_settings_can_be_read(tmp_path: Path) -> None:
    sample = (ROOT / "deploy/portal.toml").read_text(encoding="utf-8")
    given = tmp_path / "portal.toml"
    given.write_text(re.sub(r'^# (\w+ = ".*")$', r"\1", sample, flags=re.M))
    config = Config.from_environment({"PORTAL_CONFIG": str(given)})
    assert config.is_https and not config.is_sqlite
    assert config.trusted_proxies and config.encryption_keys and config.secret_key


def _require_known(words: list[str]) -> None:
    command: click.Command = main
    while words and isinstance(command, click.Group):
        word = words.pop(0)
        assert word in command.commands, f"portal has no command {word}"
        command = command.commands[word]
    options = {option for parameter in command.params for option in parameter.opts}
    wrong = [word for word in words if word.startswith("--") and word not in options]
    assert not wrong, f"{command.name} has no {wrong}"
