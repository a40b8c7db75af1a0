"""The staged test of a sender, stored or not."""

from typing import Any

from flask import Response
from pydantic import BaseModel

from portal.delivery import sender_tests
from portal.delivery.sender_tests import TooManyTests
from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.settings.models import Sender
from portal.web import guard
from portal.web.api import inputs
from portal.web.api.calls import call
from portal.web.api.sender_shapes import SenderValuesInput
from portal.web.api.senders import find
from portal.web.blueprints import api as blueprint
from portal.web.errors import problem
from portal.web.guard import requires


class SenderTestInput(SenderValuesInput):
    """`to` gets the test mail; `check_only` stops before any content. Other keys are laid over
    the stored ones and are not saved."""

    to: str
    check_only: bool = False
    name: str | None = None
    priority: int | None = None
    kinds: list[str] | None = None
    active: bool | None = None
    enabled: bool | None = None


class StepShape(BaseModel):
    step: str
    ok: bool | None
    ms: int | None
    detail: str


class TestFailure(BaseModel):
    step: str
    code: int | None
    enhanced_code: str | None
    reply: str | None
    reason: str
    cause: str
    cure: str
    repairs: list[dict[str, Any]]


class TestReport(BaseModel):
    """The staged report. `failure` is there where it did not pass."""

    passed: bool
    sent: bool
    started_at: str
    ms: int
    steps: list[StepShape]
    failure: TestFailure | None = None
    capabilities: list[str]
    tls: dict[str, Any] | None
    transcript: list[str]


@blueprint.post("/senders/test")
@blueprint.post("/organizations/<slug:organization>/senders/test")
@call(takes=SenderTestInput, gives=TestReport)
@requires(Permission.SETTINGS_CHANGE, at_host=Permission.HOST_SETTINGS_CHANGE)
def test_unsaved_sender(organization: Organization | None) -> TestReport:
    """Test values that are not saved."""
    return _tested(organization, None)


@blueprint.post("/senders/<name:sender>/test")
@blueprint.post("/organizations/<slug:organization>/senders/<name:sender>/test")
@call(takes=SenderTestInput, gives=TestReport)
@requires(Permission.SETTINGS_CHANGE, at_host=Permission.HOST_SETTINGS_CHANGE)
def test_sender(organization: Organization | None, sender: str) -> TestReport:
    """Test a sender, as it is stored or with other values."""
    return _tested(organization, find(organization, sender))


@blueprint.errorhandler(TooManyTests)
def too_many_tests(limit: TooManyTests) -> Response:
    answer = problem(429, "Too many tests", str(limit))
    answer.headers["Retry-After"] = str(limit.retry_after)
    return answer


def _tested(organization: Organization | None, sender: Sender | None) -> TestReport:
    given = inputs.body(SenderTestInput)
    report = sender_tests.run(
        organization,
        sender,
        given.values(),
        name=given.name or (sender.name if sender else "new"),
        secret=given.secret_change(),
        to=given.to,
        check_only=given.check_only,
        actor=guard.principal().actor,
    )
    return TestReport.model_validate(report.as_json())
