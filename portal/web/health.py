"""Health for load balancers and supervisors: alive, and ready to accept and store."""

import shutil

from flask import current_app, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import inspect, select
from sqlalchemy.exc import SQLAlchemyError

from portal import keys, outage
from portal.config import ConfigError
from portal.extensions import db
from portal.web.blueprints import health
from portal.web.guard import public

_FREE_BYTES = 16 * 1024 * 1024


@health.get("/live")
@public
def live() -> ResponseReturnValue:
    """This process answers."""
    return jsonify(status="ok")


@health.get("/ready")
@public
def ready() -> ResponseReturnValue:
    """This process can accept and store; says nothing of queues or mail servers."""
    faults = [fault for fault in (_database(), _key(), _disk()) if fault]
    if faults:
        return jsonify(status="unavailable", faults=faults), 503
    return jsonify(status="ok")


def _database() -> str | None:
    try:
        db.session.execute(select(1))
        if not inspect(db.engine).has_table("deliveries"):
            return "schema"
    except SQLAlchemyError as problem:
        outage.here.goes_on(problem)
        return "database"
    outage.here.is_over()
    return None


def _key() -> str | None:
    try:
        keys.vault()
    except ConfigError:
        return "encryption key"
    return None


def _disk() -> str | None:
    free = shutil.disk_usage(current_app.extensions["config"].data_dir).free
    return "disk" if free < _FREE_BYTES else None
