"""The application as a command needs it: tables in place, keys at hand.

Tables of a newer version serve as well. A role that meets older ones waits for their upgrade; a
command refuses, because a backup belongs before an upgrade.
"""

import threading
from collections.abc import Callable

from flask import Flask

from portal import keys, logs
from portal.cli import database, factory
from portal.cli.failures import Failed
from portal.clock import monotonic
from portal.config import Config
from portal.web import upgrading

Tell = Callable[[str], None]

_LOOK_EVERY = 2.0
_SAY_EVERY = 60.0


def prepared(tell: Tell = logs.tell) -> Flask:
    """An application whose tables are made where the database is empty.

    An older database is left alone. Raises ConfigError and Failed.
    """
    app = factory.make()
    if database.revisions(app).found is None:
        database.migrate(app)
    return _opened(app, tell)


def upgraded(config: Config, tell: Tell = logs.tell) -> Flask:
    """An application whose tables were brought to this version. Raises ConfigError and Failed."""
    app = factory.make(config)
    if not database.revisions(app).is_newer:
        database.migrate(app)
    return _opened(app, tell)


def existing(tell: Tell = logs.tell) -> Flask:
    """An application on tables that are there already. Raises ConfigError and Failed."""
    return _opened(factory.make(), tell)


def working(tell: Tell = logs.tell) -> Flask:
    """As `existing`, for a role: it waits while the tables are older. Raises ConfigError and
    Failed."""
    app = _of_role()
    _until_upgraded(app, tell)
    return _opened(app, tell)


def serving(tell: Tell = logs.tell) -> Flask:
    """As `existing`, for the role that answers: while the tables are older, that they are. Raises
    ConfigError and Failed."""
    app = _of_role()
    state = database.revisions(app)
    if not state.is_older:
        return _opened(app, tell)
    tell(_waiting(state))
    upgrading.hold_back(app, lambda: _is_upgraded(app))
    return _with_keys(app, tell)


def _of_role() -> Flask:
    config = Config.from_environment()
    logs.take_over(config.log_format)
    return factory.make(config)


def _until_upgraded(app: Flask, tell: Tell) -> None:
    said = None
    while (state := database.revisions(app)).is_older:
        if said is None or monotonic() - said > _SAY_EVERY:
            tell(_waiting(state))
            said = monotonic()
        threading.Event().wait(_LOOK_EVERY)
    if said is not None:
        tell("The database was upgraded.")


def _is_upgraded(app: Flask) -> bool:
    try:
        return not database.revisions(app).is_older
    except Failed:
        return False


def _waiting(state: database.Revisions) -> str:
    return f"{state}. Waiting until somebody has run: portal db upgrade"


def _opened(app: Flask, tell: Tell) -> Flask:
    state = database.revisions(app)
    if state.is_newer:
        tell(f"{state}. This version goes on.")
    else:
        database.require_current(app)
    return _with_keys(app, tell)


def _with_keys(app: Flask, tell: Tell) -> Flask:
    for path in keys.ensure(app):
        tell(f"Made {path}. Keep a copy with your backups, apart from the database.")
    return app
