"""The OpenAPI 3.1 document, made of the routes and of what their handlers declare."""

import re
from collections.abc import Iterator
from typing import Any

from flask import current_app, jsonify
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from portal.web.api.calls import Call, declared_call
from portal.web.api.shapes import Problem
from portal.web.blueprints import api as blueprint
from portal.web.guard import public

_PREFIX = "/api/v1"
_REF = "#/components/schemas/{model}"
_VARIABLE = re.compile(r"<(?P<converter>[a-z]+):(?P<name>[a-z_]+)>")
_VARIABLE_SCHEMAS: dict[str, dict[str, Any]] = {
    "uuid": {"type": "string", "format": "uuid"},
    "slug": {"type": "string", "pattern": "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"},
    "name": {"type": "string", "minLength": 1, "maxLength": 100},
}
_ALWAYS = (401, 403, 404, 429, 500, 503)
_WITH_BODY = (400, 409, 413, 415, 422)
_SAYS = {
    400: "The body is no JSON object.",
    401: "No token, or one that is not in force.",
    403: "The token may not do that.",
    404: "There is no such thing here.",
    409: "It cannot be done in its present state, or a twin with this key still runs.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "Something given was refused; errors names each with its cure.",
    429: "Too many calls; Retry-After says how long to wait.",
    500: "A fault of the portal; it was logged.",
    503: "Nothing can be stored now; Retry-After says how long to wait.",
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body get the first answer, for at least 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


@blueprint.get("/openapi.json")
@public
def openapi() -> ResponseReturnValue:
    """What this API can do, for tools."""
    return jsonify(document())


def document() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    models: list[tuple[type[BaseModel], Any]] = [(Problem, "serialization")]
    for rule, method, call in _calls():
        path = _VARIABLE.sub(r"{\g<name>}", str(rule).removeprefix(_PREFIX))
        paths.setdefault(path, {})[method] = _operation(rule, method, call)
        models += [(call.takes, "validation")] if call.takes else []
        models += [(call.gives, "serialization")] if call.gives else []
    _, schemas = models_json_schema(list(dict.fromkeys(models)), ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Gatepost", "version": "1", "license": {"name": "MIT"}},
        "servers": [{"url": _PREFIX}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _calls() -> Iterator[tuple[Rule, str, Call]]:
    for rule in sorted(current_app.url_map.iter_rules(), key=str):
        call = declared_call(current_app.view_functions[rule.endpoint])
        if call is not None:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule, method.lower(), call


def _operation(rule: Rule, method: str, call: Call) -> dict[str, Any]:
    name = rule.endpoint.rpartition(".")[2]
    inside = "<slug:organization>/" in str(rule)
    operation: dict[str, Any] = {
        "operationId": f"{name}_in_organization" if inside else name,
        "summary": (current_app.view_functions[rule.endpoint].__doc__ or "").split("\n")[0],
        "parameters": [*_path_parameters(rule), *_query_parameters(call)],
        "responses": _responses(method, call),
    }
    if method == "post":
        operation["parameters"].append(_IDEMPOTENCY_KEY)
    if call.takes is not None:
        operation["requestBody"] = {
            "required": any(field.is_required() for field in call.takes.model_fields.values()),
            "content": {"application/json": {"schema": _ref(call.takes)}},
        }
    return operation


def _path_parameters(rule: Rule) -> Iterator[dict[str, Any]]:
    for variable in _VARIABLE.finditer(str(rule)):
        schema = _VARIABLE_SCHEMAS[variable["converter"]]
        yield {"name": variable["name"], "in": "path", "required": True, "schema": schema}


def _query_parameters(call: Call) -> Iterator[dict[str, Any]]:
    if call.query is None:
        return
    described = call.query.model_json_schema(ref_template=_REF)
    kinds = described.get("$defs", {})
    for name, schema in described["properties"].items():
        yield {"name": name, "in": "query", "required": False, "schema": _plain(schema, kinds)}


def _plain(schema: dict[str, Any], kinds: dict[str, Any]) -> dict[str, Any]:
    """A query value is never null: the schema of what it is when it is given."""
    branches = [branch for branch in schema.get("anyOf", [schema]) if branch.get("type") != "null"]
    (only,) = branches
    if "$ref" in only:
        only = kinds[only["$ref"].rpartition("/")[2]]
    return {key: value for key, value in only.items() if key not in ("title", "default")}


def _responses(method: str, call: Call) -> dict[str, Any]:
    done: dict[str, Any] = {"description": "Done."}
    if call.gives is not None:
        done["content"] = {"application/json": {"schema": _ref(call.gives)}}
    statuses = {*_ALWAYS, *call.errors, *([422] if call.query else [])}
    statuses |= set(_WITH_BODY) if method != "get" else set()
    return {str(call.status): done} | {str(status): _problem(status) for status in sorted(statuses)}


def _problem(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": _SAYS[status],
        "content": {"application/problem+json": {"schema": _ref(Problem)}},
    }
    if status in (429, 503):
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return answer


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}
