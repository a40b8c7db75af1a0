"""Keys are made once, on the very first run; a missing one stops the start with one line."""

import base64
import multiprocessing
import stat
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from portal import keys
from portal.app import create_app
from portal.config import Config, ConfigError
from portal.extensions import db
from portal.keys import EncryptionKey
from portal.vault import VaultError
from tests.databases import Database, EngineName

SQLITE = pytest.mark.parametrize("engine_name", [EngineName.SQLITE])
SECRET_KEY = "a key that signs the cookies of a test"


def portal(url: str, folder: Path, **settings: str) -> Flask:
    named = {f"PORTAL_{name}": value for name, value in settings.items()}
    return create_app(
        Config.from_environment(
            {"PORTAL_DATABASE_URL": url, "PORTAL_DATA_DIR": str(folder), **named}
        )
    )


def key_of(byte: int) -> str:
    return base64.b64encode(bytes([byte]) * 32).decode()


def sealed_by(app: Flask, secret: str = "secret") -> str:
    with app.app_context():
        return keys.vault().seal(secret, context=("place",))


def opened_by(app: Flask, sealed: str) -> str:
    with app.app_context():
        return keys.vault().open(sealed, context=("place",))


def test_the_first_run_makes_two_files_for_their_owner_alone(
    database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    made = keys.ensure(portal(database.url, folder))
    assert made == [folder / "encryption-keys", folder / "secret-key"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o600, 0o600]
    assert sorted(path.name for path in folder.iterdir()) == ["encryption-keys", "secret-key"]


def test_keys_are_made_once(database: Database, tmp_path: Path) -> None:
    first = portal(database.url, tmp_path / "data")
    made = keys.ensure(first)
    before = [path.read_bytes() for path in made]
    sealed = sealed_by(first)

    second = portal(database.url, tmp_path / "data")
    assert keys.ensure(second) == []
    assert [path.read_bytes() for path in made] == before
    assert second.secret_key == first.secret_key
    assert opened_by(second, sealed) == "secret"


def test_the_database_remembers_which_keys_it_was_used_with_and_not_the_keys(
    database: Database, tmp_path: Path
) -> None:
    app = portal(database.url, tmp_path / "data")
    keys.ensure(app)
    key_id, _, key = (tmp_path / "data/encryption-keys").read_text().strip().partition(":")
    with app.app_context():
        rows = db.session.scalars(select(EncryptionKey)).all()
        assert [row.id for row in rows] == [key_id]
        assert key not in repr([vars(row) for row in rows])


@pytest.mark.parametrize(
    ("lost", "named"),
    [("encryption-keys", "PORTAL_ENCRYPTION_KEYS"), ("secret-key", "PORTAL_SECRET_KEY")],
)
def test_a_lost_file_stops_the_start_in_one_line_and_is_not_made_anew(
    database: Database, tmp_path: Path, lost: str, named: str
) -> None:
    folder = tmp_path / "data"
    keys.ensure(portal(database.url, folder))
    (folder / lost).unlink()
    with pytest.raises(ConfigError) as refused:
        keys.ensure(portal(database.url, folder))
    message = str(refused.value)
    assert str(folder / lost) in message
    assert named in message
    assert "\n" not in message
    assert not (folder / lost).exists()


def test_another_key_in_place_of_the_one_in_use_stops_the_start(
    database: Database, tmp_path: Path
) -> None:
    keys.ensure(portal(database.url, tmp_path, ENCRYPTION_KEYS=f"k1:{key_of(1)}"))
    with pytest.raises(ConfigError, match="Encryption key k1 is missing"):
        keys.ensure(portal(database.url, tmp_path, ENCRYPTION_KEYS=f"k2:{key_of(1)}"))
    both = f"k2:{key_of(2)},k1:{key_of(1)}"
    assert keys.ensure(portal(database.url, tmp_path, ENCRYPTION_KEYS=both)) == []


@SQLITE
def test_a_key_with_the_right_name_and_the_wrong_bytes_opens_nothing(
    database: Database, tmp_path: Path
) -> None:
    right = portal(database.url, tmp_path, ENCRYPTION_KEYS=f"k1:{key_of(1)}")
    wrong = portal(database.url, tmp_path, ENCRYPTION_KEYS=f"k1:{key_of(2)}")
    keys.ensure(right)
    keys.ensure(wrong)
    with pytest.raises(VaultError):
        opened_by(wrong, sealed_by(right))


@SQLITE
def test_configured_keys_make_no_file(database: Database, tmp_path: Path) -> None:
    settings = {"ENCRYPTION_KEYS": f"k1:{key_of(1)}", "SECRET_KEY": SECRET_KEY}
    app = portal(database.url, tmp_path / "data", **settings)
    assert keys.ensure(app) == []
    assert app.secret_key == SECRET_KEY
    assert list((tmp_path / "data").iterdir()) == []


def test_an_empty_database_stops_the_start_and_makes_no_keys(
    empty_database: Database, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="portal db upgrade"):
        keys.ensure(portal(empty_database.url, tmp_path / "data"))
    assert list((tmp_path / "data").iterdir()) == []


@SQLITE
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "are missing"),
        (b"canary-without-a-name\n", "must look like id:base64"),
        (b"k1:canary not base64\n", "'k1' is not base64"),
        (b"k1:Y2FuYXJ5\n", "'k1' must be 32 bytes long"),
        (b"\xff\xfecanary", "is not a key file"),
    ],
)
def test_a_broken_key_file_stops_the_start_in_one_line_without_showing_it(
    database: Database, tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "encryption-keys").write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        keys.ensure(portal(database.url, tmp_path, SECRET_KEY=SECRET_KEY))
    message = str(refused.value)
    assert words in message
    assert str(tmp_path / "encryption-keys") in message
    assert "\n" not in message
    assert "canary" not in message
    assert "Y2Fu" not in message


@SQLITE
def test_a_key_file_may_hold_several_keys_the_first_of_which_seals(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "encryption-keys").write_text(f"k2:{key_of(2)}\nk1:{key_of(1)}\n")
    app = portal(database.url, tmp_path)
    keys.ensure(app)
    assert sealed_by(app).startswith("v1.k2.")


def test_two_first_runs_at_once_agree_on_one_set_of_keys(
    database: Database, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.delivering"])
    folder = tmp_path / "data"
    starts = [
        context.Process(target=first_run, args=(database.url, folder, number))
        for number in range(4)
    ]
    for process in starts:
        process.start()
    for process in starts:
        process.join()
    assert [process.exitcode for process in starts] == [0] * 4
    app = portal(database.url, folder)
    keys.ensure(app)
    values = [opened_by(app, (tmp_path / f"sealed-{n}").read_text()) for n in range(4)]
    assert values == ["secret"] * 4
    assert sorted(path.name for path in folder.iterdir()) == ["encryption-keys", "secret-key"]


def first_run(url: str, folder: Path, number: int) -> None:
    app = portal(url, folder)
    keys.ensure(app)
    (folder.parent / f"sealed-{number}").write_text(sealed_by(app))
