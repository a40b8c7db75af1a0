"""Reading the JSON of a request: what is no sound document is refused before anyone looks at it."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from flask import request
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from portal.validation import FieldError, Invalid

# Deeper than any body that the API knows; keeps what walks a document within its stack.
_DEEPEST = 50
_MOST_ERRORS = 100


def document() -> dict[str, Any]:
    """The body as an object; {} where nothing was sent.

    Raises 400 for what is no JSON object, 413 beyond the limit, 415 for another content type,
    and Invalid for text that cannot be stored.
    """
    raw = request.get_data(cache=True)
    if not raw:
        return {}
    if not request.is_json:
        raise UnsupportedMediaType("Send the body as JSON: Content-Type: application/json.")
    found = _parsed(raw)
    if not isinstance(found, dict):
        raise BadRequest("The body must be a JSON object, for example {}.")
    if errors := list(islice(_not_storable(found), _MOST_ERRORS)):
        raise Invalid(errors)
    return found


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise BadRequest("The body is not UTF-8.") from None
    except json.JSONDecodeError as problem:
        raise BadRequest(
            f"The body is not JSON: {problem.msg}, line {problem.lineno} column {problem.colno}."
        ) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as problem:
        raise BadRequest(f"The body is not JSON: {problem}.") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _too_deep() -> BadRequest:
    return BadRequest(f"The body is nested deeper than {_DEEPEST} levels.")


def _not_storable(body: dict[str, Any]) -> Iterator[FieldError]:
    """Texts that no database takes: with a NUL, or with half a character (a lone surrogate)."""
    waiting: list[tuple[str, Any, int]] = [("", body, 0)]
    while waiting:
        field, value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise _too_deep()
        if isinstance(value, dict):
            for key, inner in value.items():
                if not _is_storable(key):
                    yield FieldError(field, "Remove the control character from this key.")
                waiting.append((f"{field}.{key}" if field else key, inner, depth + 1))
        elif isinstance(value, list):
            waiting += [(f"{field}.{n}", inner, depth + 1) for n, inner in enumerate(value)]
        elif isinstance(value, str) and not _is_storable(value):
            yield FieldError(field, "Remove the character U+0000 or the lone surrogate.")


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)
