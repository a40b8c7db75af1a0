"""Fixtures that every test may ask for.

What touches data takes `app` (or `client`, `session`, `cast`, which build on it) and so runs once
on SQLite and once on PostgreSQL. Each test has a database, a data folder and an application of its
own.
"""

import base64
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session, scoped_session

from portal import keys
from portal.app import create_app
from portal.config import Config
from portal.database import reading_only
from portal.extensions import db
from portal.identity import passwords
from tests import compiled
from tests.browser import Browser
from tests.cast import Cast, assemble
from tests.databases import Database, EngineName, PostgresTemplate, SqliteTemplate, Template

_MEMORY = "/dev/shm"
_ROOM = 2 * 1024**3
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def pytest_configure() -> None:
    """Folders of tests lie in memory where there is room for them: on a disk every commit to
    SQLite waits for it, as it must where people run the portal."""
    if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", _MEMORY)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Tests with a real browser run on one worker, so that one browser is started; so do those of a
    file that share a world, where one finds what the others left. Groups, which take long, come
    first, so that no worker waits at the end."""
    for item in items:
        if group := _group(item):
            item.add_marker(pytest.mark.xdist_group(group))
    yield
    for item in items:
        # xdist writes the group behind a test's id where pytest 9.2 does not look for it any more.
        if (in_its_group := getattr(item, "_nodeid", item.nodeid)) != item.nodeid:
            item._id = type(item.id).parse(in_its_group)
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


def _group(item: pytest.Item) -> str | None:
    assert isinstance(item, pytest.Function)
    if "browser" in item.fixturenames:
        return "browser"
    if "shared_engine" in item.fixturenames:
        return f"{item.path.stem} on {item.callspec.params['shared_engine']}"
    return None


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Argon2 with the least work: the cast signs in in most tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "hasher", PasswordHasher(1, 8, 1))
        yield


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        compiled.once(patch)
        yield


@pytest.fixture(autouse=True)
def as_in_a_fresh_thread() -> None:
    """A page that an earlier test opened may have left this thread marked as one that reads."""
    reading_only(False)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return SqliteTemplate(tmp_path_factory.mktemp("sqlite"), migrate)


@pytest.fixture(scope="session")
def postgresql_template() -> Iterator[Template]:
    template = PostgresTemplate(migrate)
    yield template
    template.close()


@pytest.fixture(params=list(EngineName))
def engine_name(request: pytest.FixtureRequest) -> EngineName:
    """Both engines, one after the other. `@pytest.mark.parametrize` narrows it to one."""
    found: EngineName = request.param
    return found


@pytest.fixture
def template(engine_name: EngineName, request: pytest.FixtureRequest) -> Template:
    # Asked for by name, so that a run on SQLite alone starts no server.
    found: Template = request.getfixturevalue(f"{engine_name}_template")
    return found


@pytest.fixture
def database(template: Template, tmp_path: Path) -> Iterator[Database]:
    """A fresh, migrated database."""
    fresh = template.copy(tmp_path)
    yield fresh
    template.drop(fresh)


@pytest.fixture
def config(database: Database, tmp_path: Path) -> Config:
    return config_for(database, tmp_path / "data")


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    """The application on a fresh database, with its keys. No context is pushed: a request of
    `client` makes its own, and so does `session`."""
    app = create_app(config)
    app.testing = True
    keys.ensure(app)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def session(app: Flask) -> Iterator[scoped_session[Session]]:
    """The database session of an application context that stays open during the test: for tests
    that call capabilities. Not together with `client`: both would share one context."""
    with app.app_context():
        yield db.session


@pytest.fixture
def cast(app: Flask) -> Cast:
    """rita, alice, bob, carol and dave with their organizations; see tests/cast.py."""
    return assemble(app)


@pytest.fixture
def visit(app: Flask, cast: Cast) -> Browser:
    """A page object that nobody has signed in to; `visit.sign_in(cast.alice)` goes on as alice."""
    return Browser(app)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, object]) -> dict[str, object]:
    """The machine's own Chromium: `tools/chromium.sh` installs it."""
    executable = next((found for name in _CHROMIUM if (found := shutil.which(name))), None)
    assert executable, "No Chromium on the PATH; `make test` installs it or says how."
    quiet = ("--no-sandbox", "--disable-background-networking", "--disable-component-update")
    return {**browser_type_launch_args, "executable_path": executable, "args": [*quiet]}


@pytest.fixture
def empty_database(template: Template, tmp_path: Path) -> Iterator[Database]:
    """A fresh database without any table, for tests of the migrations."""
    fresh = template.empty(tmp_path)
    yield fresh
    template.drop(fresh)


def config_for(database: Database, data_dir: Path) -> Config:
    """The configuration of a test: keys and address fixed, nothing read from the environment."""
    key = base64.b64encode(bytes(range(32))).decode()
    return Config.from_environment(
        {
            "PORTAL_DATABASE_URL": database.url,
            "PORTAL_DATA_DIR": str(data_dir),
            "PORTAL_BASE_URL": "http://127.0.0.1:8000",
            "PORTAL_SECRET_KEY": "a key that signs the cookies of a test",
            "PORTAL_ENCRYPTION_KEYS": f"test:{key}",
            "PORTAL_ALLOWED_HOSTS": "localhost,127.0.0.1",
        }
    )


def migrate(url: str) -> None:
    """Bring an empty database to the newest version, by the migrations that users run."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"PORTAL_DATABASE_URL": url, "PORTAL_DATA_DIR": folder}
        with create_app(Config.from_environment(settings)).app_context():
            flask_migrate.upgrade()
            db.engine.dispose()
