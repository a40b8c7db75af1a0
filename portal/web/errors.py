"""Errors as pages for people and as problem documents (RFC 9457) for systems."""

import contextlib
import re
import uuid

from flask import Flask, Response, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from sqlalchemy import select
from sqlalchemy.exc import (
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolExhausted
from werkzeug.exceptions import HTTPException

from portal import logs, outage
from portal.extensions import db
from portal.identity.models import Membership, Role, User
from portal.validation import FieldError, Invalid, Stale
from portal.vault import VaultError
from portal.web import context, guard

_log = logs.logger("web")
# What a form that came too late gives back to be copied, in bytes.
_COPIED_BYTES = 100_000
_HIDDEN_INPUT = re.compile(r"password|secret|token|revision|^act$", re.IGNORECASE)

# What a system should know where the framework's own words are for people with a browser.
_API_DETAILS = {
    401: "Send a token that is in force: Authorization: Bearer <token>.",
    403: "This token may not do that.",
    404: "There is no such thing here.",
    405: "This address does not know that method; the header Allow lists those it knows.",
    413: "The body is larger than 1 MiB. Send less at once.",
}

# Nobody can know whether the next try works: the database was restarted, is full or is locked.
_AWAY = (OperationalError, InterfaceError, InternalError, PoolExhausted)


def register(app: Flask) -> None:
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(Invalid, _invalid)
    app.register_error_handler(Stale, _stale)
    for unavailable in _AWAY:
        app.register_error_handler(unavailable, _database)
    app.register_error_handler(DatabaseError, _damaged)
    app.register_error_handler(VaultError, _vault)
    app.register_error_handler(Exception, _unforeseen)


def problem(status: int, title: str, detail: str, errors: tuple[FieldError, ...] = ()) -> Response:
    """A problem document. `errors` become JSON pointers with messages."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    answer = jsonify(
        body
        | {
            "errors": [
                {"pointer": _pointer(error.field), "message": error.message} for error in errors
            ]
        }
    )
    answer.status_code = status
    answer.content_type = "application/problem+json"
    return answer


def _pointer(field: str) -> str:
    """A JSON pointer (RFC 6901) to a field such as `resource.url`; to the whole for none."""
    if not field:
        return ""
    return "/" + field.replace("~", "~0").replace("/", "~1").replace(".", "/")


def awaiting_upgrade() -> Response:
    """The tables are older than this version needs."""
    context.do_without_database()
    answer = _answer(
        503,
        _("The database must be upgraded first"),
        _("Nothing was accepted. Whoever runs this portal upgrades it by: portal db upgrade"),
    )
    answer.headers["Retry-After"] = "5"
    return answer


def refused_host() -> Response:
    """A Host header that does not name this portal."""
    return problem(
        400,
        "Unknown host",
        "This portal does not answer to that name. Set PORTAL_BASE_URL or PORTAL_ALLOWED_HOSTS.",
    )


def _http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    cause = getattr(error, "original_exception", None)
    if isinstance(cause, _AWAY):
        # It went away while another error was being answered.
        return _database(cause)
    if error.response is not None:
        return error.response
    if _is_api():
        return _api_answer(error, status)
    if status == 401 and (request.content_length or 0) <= _COPIED_BYTES:
        return _signed_out()
    answer = _answer(status, error.name, error.description or error.name)
    if status == 413:
        # The rest of the body is never read, so nothing else can follow on this connection.
        answer.headers["Connection"] = "close"
    return answer


def _api_answer(error: HTTPException, status: int) -> Response:
    is_own = error.description != type(error).description
    detail = error.description if is_own else _API_DETAILS.get(status, error.description)
    answer = problem(status, error.name, detail or error.name)
    if status == 401:
        known = ', error="invalid_token"' if "Authorization" in request.headers else ""
        answer.headers["WWW-Authenticate"] = f'Bearer realm="Gatepost"{known}'
    for name, value in error.get_headers(request.environ):
        if name in ("Allow", "Retry-After"):
            answer.headers[name] = value
    return answer


def _signed_out() -> Response:
    """A form that came after its session had ended: what was typed comes back, to be copied."""
    typed = {
        name: value
        for name, value in request.form.items()
        if value.strip() and not _HIDDEN_INPUT.search(name)
    }
    page = render_template("errors/signed_out.html", typed=typed)
    return Response(page, 401)


def _csrf(error: CSRFError) -> ResponseReturnValue:
    return _answer(
        400, _("The form is out of date"), _("Open the page again and repeat what you entered.")
    )


def _invalid(error: Invalid) -> ResponseReturnValue:
    db.session.rollback()
    if _is_api():
        return problem(422, "Invalid input", "Nothing was changed.", error.errors)
    return _answer(422, _("Invalid input"), "; ".join(e.message for e in error.errors))


def _stale(error: Stale) -> ResponseReturnValue:
    db.session.rollback()
    return _answer(
        409,
        _("Changed meanwhile"),
        _("Someone else saved this since you opened it. Open it again and repeat your change."),
    )


def _database(error: SQLAlchemyError) -> ResponseReturnValue:
    with contextlib.suppress(SQLAlchemyError):
        db.session.rollback()
    context.do_without_database()
    outage.here.goes_on(error)
    answer = _answer(
        503,
        _("Nothing can be stored right now"),
        _("The database does not answer. Nothing was accepted; try again in a few seconds."),
    )
    answer.headers["Retry-After"] = "5"
    return answer


def _damaged(error: DatabaseError) -> ResponseReturnValue:
    """The class itself stands for a file that is damaged or no database; those below it for what
    we did wrong."""
    return _database(error) if type(error) is DatabaseError else _unforeseen(error)


def _vault(error: VaultError) -> ResponseReturnValue:
    db.session.rollback()
    _log.error("vault", problem=str(error))
    answer = _answer(503, _("A stored secret cannot be opened"), _("Restore the encryption keys."))
    answer.headers["Retry-After"] = "60"
    return answer


def _unforeseen(error: Exception) -> ResponseReturnValue:
    db.session.rollback()
    number = uuid.uuid4().hex[:12]
    # The rule and not the path: what stands in the path may be a link's secret.
    route = request.url_rule.rule if request.url_rule else None
    _log.error("unforeseen", number=number, route=route, exc_info=error)
    return _answer(
        500, _("Something went wrong here"), _("It was logged under number %(n)s.", n=number)
    )


def _answer(status: int, title: str, detail: str) -> Response:
    if _is_api():
        return problem(status, title, detail)
    page = render_template(
        "errors/error.html",
        status=status,
        title=title,
        detail=detail,
        administrators=_administrators() if status == 403 else [],
    )
    return Response(page, status)


def _administrators() -> list[str]:
    """Names of those who may give a right that is missing here."""
    organization = g.get("organization")
    if organization is not None:
        wanted = (
            select(User.name)
            .join(Membership, Membership.user_id == User.id)
            .where(
                Membership.organization_id == organization.id,
                Membership.role == Role.ADMINISTRATOR,
            )
        )
    elif guard.principal().user is not None:
        wanted = select(User.name).where(User.is_system_administrator)
    else:
        return []
    return list(db.session.scalars(wanted.order_by(User.name).limit(10)))


def _is_api() -> bool:
    return request.path.startswith("/api/")
