"""Processes that start fast: the portal is imported once, and each is forked from there."""

import multiprocessing
from collections.abc import Mapping

from flask import Flask

from portal import keys
from portal.app import create_app
from portal.config import Config

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    ["tests.delivering", "tests.chaos.crew", "tests.chaos.handing_in", "tests.chaos.sink"]
)

Settings = Mapping[str, str]


def settings_of(config: Config) -> Settings:
    """The environment by which another process opens the same installation."""
    return {
        "PORTAL_DATABASE_URL": config.database_url,
        "PORTAL_DATA_DIR": str(config.data_dir),
        "PORTAL_BASE_URL": config.base_url,
        "PORTAL_SECRET_KEY": config.secret_key or "",
        "PORTAL_ENCRYPTION_KEYS": ",".join(f"{name}:{key}" for name, key in config.encryption_keys),
    }


def application(settings: Settings) -> Flask:
    app = create_app(Config.from_environment(settings))
    keys.ensure(app)
    return app
