"""One shape for every call: what it takes and gives, and its only commit.

A handler reads its input, makes one call into a capability and returns what to show. What it
changed is committed here, together with the answer that an Idempotency-Key keeps.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response, request
from pydantic import BaseModel

from portal.database import reading_only
from portal.extensions import db
from portal.web.api import idempotency, inputs, turns
from portal.web.api.idempotency import Answer
from portal.web.api.inputs import Input
from portal.web.api.limits import SAFE


@dataclass(frozen=True)
class Call:
    """The declaration of a call, for the OpenAPI document. `gives` None: no content."""

    takes: type[Input] | None
    query: type[Input] | None
    gives: type[BaseModel] | None
    status: int
    errors: tuple[int, ...]


def call(
    *,
    takes: type[Input] | None = None,
    query: type[Input] | None = None,
    gives: type[BaseModel] | None = None,
    status: int = 200,
    errors: tuple[int, ...] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """Stands above `@requires`. `errors` are statuses beside those of every call."""

    def declare(view: Callable[..., Any]) -> Callable[..., Response]:
        @functools.wraps(view)
        def answer(**arguments: Any) -> Response:
            def act() -> Answer:
                shape = view(**arguments)
                return Answer(status, shape.model_dump_json() if shape is not None else None)

            return _response(_committed(takes, arguments, act))

        answer.__gatepost_call__ = Call(takes, query, gives, status, errors)  # type: ignore[attr-defined]
        return answer

    return declare


def declared_call(view: Callable[..., Any]) -> Call | None:
    found: Call | None = getattr(view, "__gatepost_call__", None)
    return found


def _committed(
    takes: type[Input] | None, arguments: dict[str, Any], act: Callable[[], Answer]
) -> Answer:
    """On SQLite one transaction writes at a time. So it begins when all is read and checked that
    needs no database, and one that takes long lets the others go first."""
    if request.method in SAFE:
        return act()
    organization = arguments.get("organization")
    if request.method == "POST" and (earlier := idempotency.first_answer(organization)):
        return earlier
    # Where the path names a thing, whether it is there comes before what is said of it.
    names_a_thing = bool(arguments.keys() - {"organization"})
    given = inputs.body(takes) if takes and not names_a_thing else Input()
    with turns.turn(organization, is_large=given.is_large):
        given.check()
        db.session.rollback()
        reading_only(False)
        if request.method == "POST":
            return idempotency.once(organization, act)
        answer = act()
        db.session.commit()
        return answer


def _response(answer: Answer) -> Response:
    response = Response(answer.json, answer.status, content_type="application/json")
    if answer.json is None:
        del response.headers["Content-Type"]
    if answer.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response
