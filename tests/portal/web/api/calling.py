"""A caller of the API that checks what every answer must be."""

import uuid
from dataclasses import dataclass
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

_PROBLEM_KEYS = {"type", "title", "status", "detail", "errors"}
ALERT = {"title": "Disk full", "severity": "critical", "status": "firing"}


@dataclass(frozen=True)
class System:
    """Calls with its token; `secret` None calls without."""

    app: Flask
    secret: str | None
    token_id: uuid.UUID | None = None

    def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **more: Any
    ) -> TestResponse:
        headers = dict(more.pop("headers", {}))
        if self.secret is not None:
            headers["Authorization"] = f"Bearer {self.secret}"
        if key is not None:
            headers["Idempotency-Key"] = key
        if body is not None:
            more["json"] = body
        answer = self.app.test_client().open(
            "/api/v1" + path, method=method, headers=headers, **more
        )
        if answer.status_code >= 400 and method != "HEAD":
            check_problem(answer)
        return answer

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.call("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> TestResponse:
        return self.call("POST", path, body, **more)

    def patch(self, path: str, body: Any, **more: Any) -> TestResponse:
        return self.call("PATCH", path, body, **more)


def check_problem(answer: TestResponse) -> None:
    """RFC 9457, with a list of errors that point into the body."""
    assert answer.content_type == "application/problem+json"
    problem = answer.get_json()
    assert set(problem) == _PROBLEM_KEYS
    assert problem["status"] == answer.status_code
    assert problem["title"] and problem["detail"]
    for error in problem["errors"]:
        assert set(error) == {"pointer", "message"}
        assert error["pointer"] == "" or error["pointer"].startswith("/")


def refused(answer: TestResponse, status: int = 422) -> dict[str, str]:
    """The messages by pointer of a refusal."""
    assert answer.status_code == status, answer.text
    return {error["pointer"]: error["message"] for error in answer.get_json()["errors"]}


def done(answer: TestResponse, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.get_json() if answer.data else None
