"""Requests that another site makes in somebody's name: each unsafe page, from the URL map."""

from collections.abc import Iterator

import pytest

from tests.security import who_may
from tests.security.doors import Door, all_doors, owner_of
from tests.security.world import Caller, Who, World

_OUT_OF_DATE = "The form is out of date"


def test_no_form_is_taken_without_its_token(world: World, nothing_changes: None) -> None:
    for door, caller, path in _allowed_posts(world):
        answer = caller.call(door.method, path, data={"name": "x"})
        assert answer.status_code == 400 and _OUT_OF_DATE in answer.text, f"{caller.who}: {door}"


def test_no_form_is_taken_with_the_token_of_another_session(
    world: World, nothing_changes: None
) -> None:
    for door, caller, path in _allowed_posts(world):
        other = Who.CAROL if caller.who is not Who.CAROL else Who.ALICE
        foreign = {"csrf_token": world.callers[other].csrf_token}
        answer = caller.call(door.method, path, data=foreign)
        assert answer.status_code == 400 and _OUT_OF_DATE in answer.text, f"{caller.who}: {door}"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"},
        {"Origin": "http://127.0.0.1:8001"},
        {"Origin": "http://127.0.0.1.evil.test:8000"},
        {"Origin": "http://127.0.0.1:8000@evil.test"},
        {"Origin": "http://["},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_no_form_is_taken_from_another_site_even_with_its_token(
    world: World, headers: dict[str, str], nothing_changes: None
) -> None:
    for door, caller, path in _allowed_posts(world):
        answer = caller.post(path, headers=headers)
        assert answer.status_code == 400 and _OUT_OF_DATE in answer.text, f"{caller.who}: {door}"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {},
    ],
    ids=str,
)
def test_a_form_of_our_own_is_taken_as_browsers_send_it(
    world: World, headers: dict[str, str]
) -> None:
    answer = world.callers[Who.BOB].post("/me/profile", {"name": ""}, headers=headers)
    assert answer.status_code == 422


def test_a_method_that_is_spoken_of_in_a_field_or_header_counts_for_nothing(
    world: World, nothing_changes: None
) -> None:
    rita = world.callers[Who.RITA]
    path = "/host/organizations/globex/delete"
    answer = rita.call(
        "GET", path, query_string={"_method": "POST"}, headers={"X-HTTP-Method-Override": "POST"}
    )
    assert answer.status_code == 200


def test_cookies_open_nothing_in_the_api(world: World, nothing_changes: None) -> None:
    """So that the API needs no CSRF tokens."""
    for door in all_doors(world.app):
        if not door.is_api or who_may.API[door.endpoint].everyone:
            continue
        answer = world.callers[Who.RITA].call(door.method, door.absent("acme"), json={})
        assert answer.status_code == 401, str(door)


def _allowed_posts(world: World) -> Iterator[tuple[Door, Caller, str]]:
    """Every unsafe page with two who may: then the refusal is about the request, not the right."""
    for door in all_doors(world.app):
        if door.is_safe or door.is_api:
            continue
        allowed = who_may.PAGES.get(door.endpoint, frozenset())
        for who in (Who.ALICE, Who.RITA, Who.NOBODY):
            if who in allowed:
                caller = world.callers[who]
                yield (
                    door,
                    caller,
                    door.at(world, slug="acme", owner=owner_of(door, "acme", caller)),
                )
