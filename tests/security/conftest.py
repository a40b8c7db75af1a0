"""One world for each module and engine: these tests change nothing, or only what is their own."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from portal import keys
from portal.app import create_app
from portal.extensions import db
from tests.conftest import config_for
from tests.databases import EngineName, Template
from tests.security.tables import differences, dump
from tests.security.world import World, build


@pytest.fixture(scope="module", params=list(EngineName))
def shared_engine(request: pytest.FixtureRequest) -> EngineName:
    found: EngineName = request.param
    return found


@pytest.fixture(scope="module")
def world(
    shared_engine: EngineName,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """Everyone, signed in, and a thing of each kind everywhere."""
    template: Template = request.getfixturevalue(f"{shared_engine}_template")
    folder = tmp_path_factory.mktemp("world")
    database = template.copy(folder)
    app = create_app(replace(config_for(database, folder / "data"), mail_catcher=True))
    app.testing = True
    keys.ensure(app)
    yield build(app)
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    template.drop(database)


@pytest.fixture
def nothing_changes(world: World) -> Iterator[None]:
    """Fails the test where any row of any table came, went or changed, but for traces of visits."""
    before = dump(world.app)
    yield
    assert not differences(before, dump(world.app))
