"""The OpenAPI document describes every call, and the API answers as the document says."""

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from portal.web.api.calls import declared_call
from tests.portal.web.api.calling import ALERT, System, done

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
SQLITE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


@pytest.fixture
def document(app: Flask) -> dict[str, Any]:
    found: dict[str, Any] = app.test_client().get("/api/v1/openapi.json").get_json()
    return found


@SQLITE
def test_every_route_of_the_api_is_described(app: Flask, document: dict[str, Any]) -> None:
    described = {(path, method) for path, calls in document["paths"].items() for method in calls}
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("api.") and rule.endpoint != "api.openapi":
            assert declared_call(app.view_functions[rule.endpoint]), rule.endpoint
            path = re.sub(r"<[a-z]+:([a-z_]+)>", r"{\1}", str(rule)).removeprefix("/api/v1")
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                assert (path, method.lower()) in described
    ids = [call["operationId"] for calls in document["paths"].values() for call in calls.values()]
    assert len(ids) == len(set(ids))
    assert all(call["summary"] for calls in document["paths"].values() for call in calls.values())


@SQLITE
def test_the_document_keeps_to_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    references = set(re.findall(r"'#/components/schemas/(\w+)'", str(document)))
    assert references <= set(document["components"]["schemas"])


# Who says nothing is refused before any row is asked for: one engine shows that.
@pytest.mark.parametrize(
    ("engine_name", "who"),
    [("sqlite", "nobody"), *itertools.product(("sqlite", "postgresql"), ("organization", "host"))],
    indirect=["engine_name"],
)
def test_no_generated_call_breaks_the_portal(
    app: Flask, globex: System, host: System, who: str
) -> None:
    """With ids that exist, so that calls reach what they act on."""
    known = there_is(globex)
    caller = {"nobody": System(app, None), "organization": globex, "host": host}[who]
    headers = {"Authorization": f"Bearer {caller.secret}"} if caller.secret else {}
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    seen: set[int] = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        seen |= attempt(operation, headers, {} if operation.method == "delete" else known)
    assert seen == {401} if who == "nobody" else {200, 202, 404, 422} <= seen


def there_is(system: System) -> dict[str, str]:
    """A value for each variable of a path."""
    raised = done(system.post("/alerts", ALERT), 202)
    asked = {"title": "Deploy?", "approvers": ["role:administrator"]}
    return {
        "organization": "globex",
        "sender": "main",
        "alert_id": raised["id"],
        "delivery_id": raised["deliveries"][0]["id"],
        "approval_id": done(system.post("/approvals", asked), 202)["id"],
    }


def attempt(operation: Any, headers: dict[str, str], known: dict[str, str]) -> set[int]:
    """The statuses that generated calls of this operation were answered with."""
    seen = set()

    @settings(
        max_examples=10,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        case.path_parameters |= {k: v for k, v in known.items() if k in case.path_parameters}
        answer = case.call(headers=headers)
        seen.add(answer.status_code)
        case.validate_response(answer, checks=list(CHECKS), headers=headers)

    call: Callable[[], None] = run
    call()
    return seen
