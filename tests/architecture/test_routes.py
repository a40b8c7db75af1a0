"""Every route is guarded, and spelled in one way."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.routing import Rule

from portal.app import create_app
from portal.config import Config
from portal.identity.policy import Permission
from portal.web.guard import declared_access

VARIABLE = re.compile(r"<(?:(?P<converter>[a-z_]+)(?:\([^)]*\))?:)?(?P<name>[a-z_]+)>")
# Letters and digits with single hyphens, and file-like names such as openapi.json.
STATIC_PART = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*(?:\.(?:json|css|txt|csv|ics))?")


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    folder = tmp_path_factory.mktemp("routes")
    return create_app(Config.from_environment({"PORTAL_DATA_DIR": str(folder)}))


def our_rules(application: Flask) -> Iterator[Rule]:
    """Every rule but the one that serves the files of static/."""
    return (rule for rule in application.url_map.iter_rules() if rule.endpoint != "static")


def test_every_route_declares_who_may_call_it(application: Flask) -> None:
    open_doors = [
        f"{rule} ({rule.endpoint})"
        for rule in our_rules(application)
        if declared_access(application.view_functions[rule.endpoint]) is None
    ]
    assert not open_doors, "Write @requires(...) or @public above:\n" + "\n".join(open_doors)


def test_only_what_stands_here_is_open_to_everyone(application: Flask) -> None:
    """A new public page is a decision: it is made here too."""
    wanted = re.compile(
        r"/$|/health/|/sign-in|/sign-out|/recovery|/invitation|/set-up|/decide/|/unsubscribe"
        r"|/api/v1/openapi\.json$"
    )
    surprising = [
        str(rule)
        for rule in our_rules(application)
        if (access := declared_access(application.view_functions[rule.endpoint])) is not None
        and access.is_public
        and not wanted.match(str(rule))
    ]
    assert not surprising, f"open to everyone: {surprising}"


def test_a_route_asks_for_a_permission_of_its_own_scope(application: Flask) -> None:
    """Below /host for a host permission, elsewhere with an organization for one of those."""
    wrong = []
    for rule in our_rules(application):
        access = declared_access(application.view_functions[rule.endpoint])
        permission = access.permission if access else None
        if permission is not None and not _fits(str(rule), permission):
            wrong.append(f"{rule} asks for {permission}")
    assert not wrong, "\n".join(wrong)


def test_addresses_are_kebab_case_with_typed_variables(application: Flask) -> None:
    wrong = [
        f"{rule}: {problem}"
        for rule in our_rules(application)
        for part in str(rule).strip("/").split("/")
        if (problem := _problem_of(part))
    ]
    assert not wrong, "\n".join(wrong)


def test_no_address_ends_with_a_slash(application: Flask) -> None:
    wrong = [str(rule) for rule in our_rules(application) if str(rule) not in ("/",)]
    assert not [rule for rule in wrong if rule.endswith("/")]


def test_no_two_handlers_answer_the_same_call(application: Flask) -> None:
    seen: dict[tuple[str, str], str] = {}
    for rule in our_rules(application):
        shape = VARIABLE.sub("<>", str(rule))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            other = seen.setdefault((method, shape), rule.endpoint)
            assert other == rule.endpoint, f"{method} {rule}: {other} and {rule.endpoint}"


def test_the_addresses_that_others_rely_on_are_there(application: Flask) -> None:
    known = {str(rule) for rule in our_rules(application)}
    assert {"/health/live", "/health/ready"} <= known
    assert any(address.startswith("/api/v1/") for address in known)


def test_an_unguarded_route_would_be_found() -> None:
    """The check above must be able to fail."""
    app = Flask("unguarded", root_path=str(Path(__file__).parent))
    app.add_url_rule("/open", "open", lambda: "open to all")
    assert declared_access(app.view_functions["open"]) is None
    assert _problem_of("mail_settings")
    assert _problem_of("<name>")
    assert not _problem_of("<uuid:sender_id>")


def _problem_of(part: str) -> str | None:
    left = part
    for variable in VARIABLE.finditer(part):
        if variable["converter"] is None:
            return f"{part} has no converter; write for example <uuid:{variable['name']}>"
        left = left.replace(variable.group(), "")
    if left and not STATIC_PART.fullmatch(left):
        return f"{part!r} is not kebab-case"
    return None


def _fits(path: str, permission: Permission) -> bool:
    if path.startswith("/api/"):
        # The API's bare paths act where the token belongs; the guard asks for the other one there.
        return True
    if path.startswith("/host"):
        return permission.is_host
    if ":organization>" in path:
        return permission.is_organization
    return not permission.is_organization
