"""Migrations and models agree, on both engines."""

from pathlib import Path

import flask_migrate
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import inspect

from portal.app import create_app
from portal.config import Config
from portal.extensions import db
from tests.databases import Database


def test_models_and_migrations_agree(app: Flask) -> None:
    with app.app_context():
        command.check(app.extensions["migrate"].migrate.get_config())


def test_there_is_one_newest_migration(app: Flask) -> None:
    with app.app_context():
        scripts = ScriptDirectory.from_config(app.extensions["migrate"].migrate.get_config())
    assert len(scripts.get_heads()) == 1


def test_migrating_again_changes_nothing(app: Flask) -> None:
    with app.app_context():
        before = set(inspect(db.engine).get_table_names())
        flask_migrate.upgrade()
        assert set(inspect(db.engine).get_table_names()) == before


def test_every_table_of_the_models_is_made_from_nothing(
    empty_database: Database, tmp_path: Path
) -> None:
    config = Config.from_environment(
        {"PORTAL_DATABASE_URL": empty_database.url, "PORTAL_DATA_DIR": str(tmp_path / "data")}
    )
    with create_app(config).app_context():
        assert inspect(db.engine).get_table_names() == []
        flask_migrate.upgrade()
        made = set(inspect(db.engine).get_table_names())
        db.engine.dispose()
    assert set(db.metadata.tables) <= made


@pytest.mark.usefixtures("app")
def test_a_test_has_a_database_of_its_own(database: Database) -> None:
    assert database.engine in database.url
