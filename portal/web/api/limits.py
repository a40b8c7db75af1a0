"""What happens to every call once the guard let it in: the rate limit and the token's last use."""

from flask import Response, abort, request
from flask.typing import ResponseReturnValue
from limits import parse
from sqlalchemy.exc import OperationalError

from portal.database import reading_only
from portal.extensions import db, limiter
from portal.identity import tokens
from portal.web import guard
from portal.web.blueprints import api as blueprint
from portal.web.errors import problem

# At least 600 a minute are promised to each token.
RATE = parse("1200/minute")
_PIECE = 64 * 1024
_MOST_TAKEN = 64 * 1024 * 1024
SAFE = ("GET", "HEAD", "OPTIONS")


@blueprint.before_request
def limit_rate() -> ResponseReturnValue | None:
    """Each token by itself, so that a loop in one system does not stop the others."""
    token = guard.principal().token
    if token is None or limiter.limiter.hit(RATE, "api", str(token.id)):
        return None
    answer = problem(429, "Too Many Requests", f"This token made more than {RATE} calls.")
    answer.headers["Retry-After"] = "60"
    return answer


@blueprint.before_request
def note_use() -> None:
    """Write down when the token was last used, once a minute, in a transaction of its own."""
    token = guard.principal().token
    if token is None or not tokens.note_use(token):
        return
    db.session.rollback()
    reading_only(False)
    try:
        tokens.note_use(token)
        db.session.commit()
    except OperationalError:
        # A busy database must not refuse a reader for this.
        db.session.rollback()
        if request.method not in SAFE:
            raise
    reading_only(True)


@blueprint.before_request
def receive_body() -> None:
    """Wait for the whole body with no transaction open. Raises 413 beyond the limit."""
    if request.method in SAFE:
        return
    db.session.rollback()
    taken = request.get_data(cache=True)
    # Sent in chunks, without a length, a body is cut off at the limit and not refused.
    if request.content_length is None and len(taken) >= (request.max_content_length or 0):
        abort(413)


@blueprint.after_request
def take_the_rest(answer: Response) -> Response:
    """Read on what a refused caller still sends: a closed door would cost it the answer."""
    if request.environ.get("wsgi.input_terminated"):
        left = _MOST_TAKEN
        while left > 0 and (piece := request.environ["wsgi.input"].read(_PIECE)):
            left -= len(piece)
    return answer
