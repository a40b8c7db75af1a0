"""Everyone at every door: routes from the URL map, answers from the table in who_may.py."""

import re
from collections.abc import Iterator

import pytest
from werkzeug.test import TestResponse

from tests.security import who_may
from tests.security.doors import Door, all_doors, home_of, owner_of
from tests.security.who_may import ABSENT, FORBIDDEN, PASSES, UNKNOWN
from tests.security.world import ABSENT_SLUG, Caller, Who, World

# A body that no handler accepts: who gets so far was let in, and nothing happens.
_BROKEN = {"data": b"[", "content_type": "application/json"}
_UNREADABLE = (400, 404, 415, 422)
_OUT_OF_DATE = "The form is out of date"


def test_every_route_stands_in_the_table(world: World) -> None:
    known = who_may.PAGES.keys() | who_may.API.keys()
    found = {door.endpoint for door in all_doors(world.app)}
    missing = sorted(found - known)
    assert not missing, (
        "Decide who may call these, and write it into PAGES or API of tests/security/who_may.py: "
        + ", ".join(missing)
    )
    gone = sorted(known - found)
    assert not gone, "No route has these names any more; take them out of who_may.py: " + str(gone)


def test_each_caller_passes_the_doors_of_acme_that_the_table_names(
    world: World, nothing_changes: None
) -> None:
    wrong = [
        f"{caller.who}: {door}: {problem}"
        for door, caller in _knocks(world)
        if (problem := _surprise(door, caller, "acme", _knock(world, door, caller, "acme")))
    ]
    assert not wrong, "\n".join(wrong)


def test_each_caller_passes_the_doors_of_globex_that_the_table_names(
    world: World, nothing_changes: None
) -> None:
    wrong = [
        f"{caller.who}: {door}: {problem}"
        for door, caller in _knocks(world)
        if door.is_inside
        and (problem := _surprise(door, caller, "globex", _knock(world, door, caller, "globex")))
    ]
    assert not wrong, "\n".join(wrong)


def test_another_organization_answers_like_one_that_does_not_exist(
    world: World, nothing_changes: None
) -> None:
    """Same status and body, but for the CSRF token and what was typed."""
    wrong = []
    for door, caller in _knocks(world):
        other = "acme" if caller.who in (Who.CAROL, Who.GLOBEX_TOKEN) else "globex"
        if not door.is_inside or _expected(door, caller, other) != ABSENT:
            continue
        theirs = _plain(_knock(world, door, caller, other))
        nowhere = _plain(_knock(world, door, caller, ABSENT_SLUG))
        if theirs != nowhere:
            wrong.append(f"{caller.who}: {door}: {_first_difference(theirs, nowhere)}")
    assert not wrong, "\n".join(wrong)


def test_the_hosts_refusal_does_not_tell_whether_an_organization_exists(
    world: World, nothing_changes: None
) -> None:
    wrong = []
    for door, caller in _knocks(world):
        if "organization" not in door.rule.arguments or door.is_inside:
            continue
        if _expected(door, caller, None) == PASSES:
            continue
        there = _plain(_knock(world, door, caller, "globex"))
        nowhere = _plain(_knock(world, door, caller, ABSENT_SLUG))
        if there != nowhere:
            wrong.append(f"{caller.who}: {door}: {_first_difference(there, nowhere)}")
    assert not wrong, "\n".join(wrong)


def test_a_thing_of_another_owner_answers_like_one_that_does_not_exist(
    world: World, nothing_changes: None
) -> None:
    """With a valid CSRF token and everything allowed but the thing itself; nothing happens."""
    wrong = []
    for door, caller in _knocks(world):
        if not door.objects or door.endpoint.startswith("auth."):
            continue
        slug = "globex" if home_of(caller) == "globex" else "acme"
        if _expected(door, caller, slug) != PASSES:
            continue
        absent = _plain(_act(caller, door, door.absent(slug)))
        for owner in {"host", "acme", "globex"} - {owner_of(door, slug, caller)}:
            if not door.objects <= world.things[owner].keys():
                continue
            if _sees_all(door, caller) and not door.is_inside:
                continue
            path = door.at(world, slug=slug, owner=owner)
            theirs = _act(caller, door, path)
            if theirs.status_code != 404 or _plain(theirs) != absent:
                difference = _first_difference(_plain(theirs), absent)
                wrong.append(f"{caller.who}: {door} of {owner}: {difference}")
    assert not wrong, "\n".join(wrong)


def test_a_denied_post_with_a_valid_token_does_nothing(world: World, nothing_changes: None) -> None:
    wrong = []
    for door, caller in _knocks(world):
        for slug in ("acme", "globex"):
            expected = _expected(door, caller, slug)
            if door.is_safe or expected == PASSES:
                continue
            path = door.at(world, slug=slug, owner=owner_of(door, slug, caller))
            status = _act(caller, door, path).status_code
            if status != expected:
                wrong.append(f"{caller.who}: {door} at {slug}: {status}, not {expected}")
    assert not wrong, "\n".join(wrong)


def _knocks(world: World) -> Iterator[tuple[Door, Caller]]:
    """Every door and everyone who could come to it: one system stands for all at the pages, one
    person for all at the API, because there they are nobody."""
    for door in all_doors(world.app):
        for caller in world.callers.values():
            if door.endpoint not in (who_may.API if door.is_api else who_may.PAGES):
                continue
            is_stranger = caller.is_system is not door.is_api
            if not is_stranger or caller.who in (Who.NOBODY, Who.ALICE, Who.HOST_CONFIGURE):
                yield door, caller


def _sees_all(door: Door, caller: Caller) -> bool:
    """The host reads the records of all, on its pages and by its tokens' bare path."""
    if door.is_api:
        return door.endpoint == "api.read_delivery" and home_of(caller) == "host"
    return door.endpoint in ("host.record", "host.record_letter")


def _knock(world: World, door: Door, caller: Caller, slug: str) -> TestResponse:
    """Come to the door without doing anything: no CSRF token, no sound body."""
    if door.is_safe:
        return caller.call("GET", door.at(world, slug=slug, owner=owner_of(door, slug, caller)))
    if door.is_api:
        return caller.call(door.method, door.absent(_spared(door, slug)), **_BROKEN)
    return caller.call("POST", door.at(world, slug=slug, owner=owner_of(door, slug, caller)))


def _spared(door: Door, slug: str) -> str:
    """Nobody deletes a whole organization to see whether the door is open."""
    return ABSENT_SLUG if door.endpoint == "api.delete_organization" else slug


def _act(caller: Caller, door: Door, path: str) -> TestResponse:
    """Do it in earnest, as far as an empty form goes."""
    if door.is_safe:
        return caller.call("GET", path)
    if door.is_api:
        return caller.call(door.method, path, json={})
    return caller.post(path)


def _expected(door: Door, caller: Caller, slug: str | None) -> int:
    inside = slug if door.is_inside else None
    answer = who_may.call if door.is_api else who_may.page
    return answer(door.endpoint, caller.who, inside)


def _surprise(door: Door, caller: Caller, slug: str, answer: TestResponse) -> str | None:
    expected = _expected(door, caller, slug)
    status = answer.status_code
    if expected == PASSES:
        return None if _passed(door, answer) else f"refused with {status}: {answer.text[:300]}"
    if expected == UNKNOWN and door.is_safe and not door.is_api:
        is_sent = status == 303 and answer.location.startswith("/sign-in?next=")
        return None if is_sent else f"{status}, not sent to sign-in"
    return None if status == expected else f"{status}, not {expected}"


def _passed(door: Door, answer: TestResponse) -> bool:
    """Whether the door was open: at a form the missing CSRF token is what was found first."""
    if door.is_safe:
        return answer.status_code in (200, 303) or _leads_nowhere(door, answer)
    if door.is_api:
        return answer.status_code in _UNREADABLE
    return answer.status_code == 400 and _OUT_OF_DATE in answer.text


def _leads_nowhere(door: Door, answer: TestResponse) -> bool:
    """The set-up link: there is none once there is a system administrator."""
    return door.endpoint == "auth.set_up" and answer.status_code == 404


def _first_difference(one: tuple[int, str], other: tuple[int, str]) -> str:
    lines = zip(one[1].splitlines(), other[1].splitlines(), strict=False)
    line = next((f"{mine!r}, not {theirs!r}" for mine, theirs in lines if mine != theirs), "length")
    return f"{one[0]} and {other[0]}: {line}"


def _plain(answer: TestResponse) -> tuple[int, str]:
    """Status and body without the CSRF token and without what was typed into the address."""
    body = re.sub(r'(name="csrf_token"[^>]*value=")[^"]*', r"\1", answer.text)
    for part in answer.request.path.split("/"):
        if len(part) > 3:
            body = body.replace(part, "...")
    return answer.status_code, body


@pytest.mark.parametrize("status", [FORBIDDEN, ABSENT, UNKNOWN])
def test_the_table_refuses_somebody(status: int) -> None:
    """A table that let everyone in would prove nothing."""
    answers = {who_may.page(name, who, "acme") for name in who_may.PAGES for who in Who}
    assert status in answers
