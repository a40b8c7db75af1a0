"""create_app: the only place that wires everything together."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix

from portal import database, keys, logs, resources
from portal.config import Config
from portal.extensions import babel, csrf, db, limiter, login_manager, mail, migrate
from portal.identity import sessions
from portal.web import (
    api,
    auth,
    blueprints,
    context,
    converters,
    errors,
    guard,
    headers,
    health,
    host,
    me,
    notifications,
    organization,
    presentation,
    proxies,
)

# Importing a package of handlers fills its blueprint.
_HANDLERS = (health, auth, me, host, organization, notifications, api)

_BODY_LIMIT = 1024 * 1024


def create_app(config: Config | None = None) -> Flask:
    """The application, ready to serve.

    Touches neither the database nor the keys: `portal.keys.ensure` does before the first request.
    """
    config = config or Config.from_environment()
    app = Flask(
        "portal",
        template_folder=str(resources.folder("templates")),
        static_folder=str(resources.folder("static")),
        instance_path=str(config.data_dir),
    )
    app.extensions["config"] = config
    app.config.update(_flask_settings(config))
    app.secret_key = keys.load_secret_key(config)
    logs.configure(config.log_format)
    _bind_extensions(app, config)
    _register(app)
    app.wsgi_app = proxies.trusting(config.trusted_proxies, app.wsgi_app, ProxyFix)  # type: ignore[method-assign, assignment]
    return app


def _flask_settings(config: Config) -> dict[str, Any]:
    return {
        "SQLALCHEMY_DATABASE_URI": config.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": database.engine_options(config.database_url),
        "MAX_CONTENT_LENGTH": _BODY_LIMIT,
        "MAX_FORM_MEMORY_SIZE": _BODY_LIMIT,
        "MAX_FORM_PARTS": 1000,
        "SESSION_COOKIE_NAME": "gatepost",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": config.is_https,
        "WTF_CSRF_CHECK_DEFAULT": False,
        "WTF_CSRF_TIME_LIMIT": None,
        # Pages send no referrer, which the strict check would ask for.
        "WTF_CSRF_SSL_STRICT": False,
        "RATELIMIT_STORAGE_URI": "memory://",
        "SEND_FILE_MAX_AGE_DEFAULT": 86400,
    }


def _bind_extensions(app: Flask, config: Config) -> None:
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    db.init_app(app)
    with app.app_context():
        database.prepare(db.engine)
    migrate.init_app(app, db, directory=str(resources.folder("migrations")), render_as_batch=True)
    csrf.init_app(app)
    babel.init_app(app, locale_selector=context.language, timezone_selector=context.timezone)
    limiter.init_app(app)
    mail.init_app(app)
    # Templates ask the guard who is there: no page needs the database for a user of its own.
    login_manager.init_app(app, add_context_processor=False)
    login_manager.user_loader(sessions.load)


def _register(app: Flask) -> None:
    converters.register(app)
    app.before_request(_check_host(app))
    app.before_request(guard.check)
    app.after_request(headers.protect)
    errors.register(app)
    presentation.register(app)
    context.register(app)
    for blueprint in blueprints.ALL:
        app.register_blueprint(blueprint)


def _check_host(app: Flask) -> Callable[[], Response | None]:
    config: Config = app.extensions["config"]

    def check() -> Response | None:
        if request.path.startswith("/health/") or proxies.host_is_allowed(request.host, config):
            return None
        return errors.refused_host()

    return check
