"""Requests of any size and shape, to every route: a clear 4xx, never a failure of ours."""

import io
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from tests.security import who_may
from tests.security.doors import Door, all_doors, owner_of
from tests.security.world import ABSENT_SLUG, Caller, Who, World

_LARGE = 2 * 1024 * 1024
_LONG = "x" * 100_000
_URLENCODED = "application/x-www-form-urlencoded"

# Bodies that no form and no call expects.
BODIES: Mapping[str, Mapping[str, Any]] = {
    "10,000 fields": {
        "data": "&".join(f"field{n}={n}" for n in range(10_000)),
        "content_type": _URLENCODED,
    },
    "one name 5,000 times": {"data": "name=x&" * 5_000, "content_type": _URLENCODED},
    "only separators": {"data": "&=&=&;=" * 5_000, "content_type": _URLENCODED},
    "no boundary": {"data": b"--x\r\n\r\nx", "content_type": "multipart/form-data"},
    "an empty boundary": {"data": b"--\r\n", "content_type": "multipart/form-data; boundary="},
    "cut off": {
        "data": b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nx',
        "content_type": "multipart/form-data; boundary=b",
    },
    "2,000 parts": {
        "data": b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n' * 2_000 + b"--b--",
        "content_type": "multipart/form-data; boundary=b",
    },
    "a file": {"data": {"name": (io.BytesIO(b"x"), "../../etc/passwd\0.png")}},
    "NUL and half characters": {
        "data": b"name=%00&email=%ED%A0%80&title=\xff\xfe&csrf_token=%00",
        "content_type": _URLENCODED,
    },
    "an unknown charset": {
        "data": b"name=x",
        "content_type": f"{_URLENCODED}; charset=utf-99",
    },
    "another type": {"data": b"<a/>", "content_type": "application/xml"},
    "no type that is one": {"data": b"\0\xff" * 50, "content_type": "\xfc/;=;="},
    "JSON with NUL": {"data": b'{"name": "\\u0000"}', "content_type": "application/json"},
    "JSON with half a character": {
        "data": b'{"title": "\\ud800", "name": "\\udfff"}',
        "content_type": "application/json",
    },
    "JSON of 10,000 levels": {"data": b"[" * 10_000, "content_type": "application/json"},
    "JSON of a huge number": {
        "data": b'{"limit": 1' + b"0" * 5_000 + b"}",
        "content_type": "application/json",
    },
}

HEADERS: Mapping[str, Mapping[str, str]] = {
    "accept-language": {"Accept-Language": "../../etc;q=a, \xff, " + "en," * 2_000},
    "accept": {"Accept": "*/*;q=x, " + "a/b," * 1_000},
    "cookie": {"Cookie": "gatepost=" + "A" * 4_000 + "; =; ;;gatepost=\x01"},
    "long authorization": {"Authorization": "Bearer " + "\xff" * 10_000},
    "odd authorization": {"Authorization": "Bearer"},
    "basic": {"Authorization": "Basic =====;"},
    "user agent": {"User-Agent": "\x01<script>" + "x" * 5_000},
    "range": {"Range": "bytes=-1,--5,99999999999999999999-"},
    "conditions": {"If-Modified-Since": "never", "If-None-Match": '"' * 500},
    "idempotency": {"Idempotency-Key": "\xff" * 300},
    "length": {"Content-Length": "-1"},
    "no number": {"Content-Length": "seven"},
}

QUERIES = (
    "q=" + quote(_LONG),
    "q=%00&after=%00&state=%00&next=%00",
    "q=%ED%A0%80&sender=%ED%A0%80&resource=%FF",
    "after=not-an-id&before=1&page=-1&limit=99999999999999999999&from=0000-00-00&to=9999-12-31",
    "from=9999-12-31&to=0001-01-01&kind=%27%3B%20DROP%20TABLE%20users%3B--&state=sent",
    "q=%25_%5C&recipient=%27%22%3Cgp7x%3E&show=%3Cgp7x%3E&verdict=%3Cgp7x%3E&act=%3Cgp7x%3E",
    "&".join(f"q{n}=x" for n in range(5_000)),
    "q&&&=&%&%zz&%u0041=%",
)


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_an_odd_body_is_refused_and_does_nothing(
    world: World, body: Mapping[str, Any], nothing_changes: None
) -> None:
    """At pages the CSRF token is missing as well; what is asked is that nothing breaks before."""
    for door, caller in _writers(world):
        answer = caller.call(door.method, _harmless(world, door, caller), **_fresh(body))
        assert 400 <= answer.status_code < 500, f"{door}: {answer.status_code}"


@pytest.mark.parametrize(
    "kind", [_URLENCODED, "application/json", "multipart/form-data; boundary=b"]
)
def test_two_megabytes_are_too_much(world: World, kind: str, nothing_changes: None) -> None:
    for door, caller in _writers(world):
        answer = caller.call(
            door.method,
            _harmless(world, door, caller),
            data=b"a=" + b"x" * _LARGE,
            content_type=kind,
        )
        # A page reads nothing of JSON but the token, which is not there.
        wanted = {413, 400 if kind == "application/json" and not door.is_api else 413}
        if door.endpoint == "api.delete_organization":
            wanted = {404}
        assert answer.status_code in wanted, f"{door}: {answer.status_code}"


def test_who_may_not_is_refused_before_the_body_is_read(
    world: World, nothing_changes: None
) -> None:
    for door in all_doors(world.app):
        if door.is_safe or door.endpoint.startswith("auth."):
            continue
        path = door.at(world, slug="acme", owner="acme")
        answer = world.callers[Who.NOBODY].call(
            door.method, path, data=b"x" * _LARGE, content_type=_URLENCODED
        )
        assert answer.status_code == 401, f"{door}: {answer.status_code}"


@pytest.mark.parametrize("query", QUERIES, ids=[query[:20] for query in QUERIES])
def test_an_odd_question_gets_a_page_or_a_refusal(
    world: World, query: str, nothing_changes: None
) -> None:
    for door, caller in _readers(world):
        answer = caller.call("GET", f"{_address(world, door, caller)}?{query}")
        assert answer.status_code < 500, f"{door}: {answer.status_code}"
        assert b"<gp7x>" not in answer.data, f"{door} writes a question out unescaped"


@pytest.mark.parametrize("headers", HEADERS.values(), ids=list(HEADERS))
def test_odd_headers_break_nothing(world: World, headers: Mapping[str, str]) -> None:
    raw = {
        ("HTTP_" + name.upper().replace("-", "_")).replace("HTTP_CONTENT_", "CONTENT_"): value
        for name, value in headers.items()
    }
    for path in ("/sign-in", "/organizations/acme/overview", "/api/v1/alerts", "/nothing"):
        for method in ("GET", "POST"):
            answer = world.app.test_client().open(path, method=method, environ_overrides=raw)
            assert answer.status_code < 500, f"{method} {path}: {answer.status_code}"
        signed_in = world.callers[Who.ALICE].call("GET", path, environ_overrides=raw)
        assert signed_in.status_code < 500, path


@pytest.mark.parametrize(
    "piece",
    [
        "%00",
        "%ED%A0%80",
        "%FF",
        "%E2%80%A8",
        "%0D%0AX-Gp7:%20x",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e",
        "%3Cgp7x%3E",
        "%F0%9F%92%A5",
        "{{7*1428571428571}}",
        "x" * 5_000,
        "-1",
        "ACME",
        "acme%20",
        "acme.",
    ],
    ids=lambda piece: piece[:12],
)
def test_an_odd_address_leads_nowhere(world: World, piece: str, nothing_changes: None) -> None:
    """In the place of each argument of each route, for who may."""
    for door, caller in _allowed(world):
        for name in door.rule.arguments:
            path = _with_piece(world, door, caller, name, piece)
            answer = caller.call(door.method, path)
            assert answer.status_code < 500, f"{door}: {path[:200]}: {answer.status_code}"
            assert "<gp7x>" not in answer.text and "9999999999997" not in answer.text, str(door)
            assert "X-Gp7" not in answer.headers, str(door)


def _with_piece(world: World, door: Door, caller: Caller, name: str, piece: str) -> str:
    """The address with one argument replaced by what was typed."""
    path = _address(world, door, caller)
    filled = door.rule.rule
    shape, parts = filled.split("/"), path.split("/")
    return "/".join(
        piece if f":{name}>" in variable else part
        for variable, part in zip(shape, parts, strict=True)
    )


def _writers(world: World) -> Iterator[tuple[Door, Caller]]:
    for door, caller in _allowed(world):
        if not door.is_safe:
            yield door, caller


def _readers(world: World) -> Iterator[tuple[Door, Caller]]:
    for door, caller in _allowed(world):
        if door.is_safe:
            yield door, caller


def _allowed(world: World) -> Iterator[tuple[Door, Caller]]:
    """Each door with one who gets in: in front of a closed one nothing would be tried."""
    for door in all_doors(world.app):
        table = who_may.call if door.is_api else who_may.page
        slug = "acme" if door.is_inside else None
        if door.endpoint not in (who_may.API if door.is_api else who_may.PAGES):
            continue
        for caller in world.callers.values():
            is_right_kind = caller.is_system is door.is_api
            if is_right_kind and table(door.endpoint, caller.who, slug) == who_may.PASSES:
                yield door, caller
                break


def _address(world: World, door: Door, caller: Caller) -> str:
    return door.at(world, slug="acme", owner=owner_of(door, "acme", caller))


def _harmless(world: World, door: Door, caller: Caller) -> str:
    """A call that needs no body would be done: there it is about what does not exist."""
    if not door.is_api:
        return _address(world, door, caller)
    return door.absent(ABSENT_SLUG if door.endpoint == "api.delete_organization" else "acme")


def _fresh(body: Mapping[str, Any]) -> dict[str, Any]:
    """A client closes the files that it sends."""
    data = body["data"]
    if isinstance(data, dict):
        data = {name: (io.BytesIO(b"x"), file[1]) for name, file in data.items()}
    return {**body, "data": data}
