"""The blueprints, one an audience. Handlers import theirs from here; `portal.app` registers all."""

from flask import Blueprint

health = Blueprint("health", __name__, url_prefix="/health")
auth = Blueprint("auth", __name__)
me = Blueprint("me", __name__, url_prefix="/me")
host = Blueprint("host", __name__, url_prefix="/host")
organization = Blueprint("organization", __name__, url_prefix="/organizations/<slug:organization>")
notifications = Blueprint(
    "notifications", __name__, url_prefix="/organizations/<slug:organization>"
)
api = Blueprint("api", __name__, url_prefix="/api/v1")

ALL = (health, auth, me, host, organization, notifications, api)
