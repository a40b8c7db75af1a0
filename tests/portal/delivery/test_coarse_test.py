import json
from typing import Any

import pytest

from portal.delivery import staged_test
from portal.destinations import (
    AllowedDestinations,
    Forbidden,
    NameNotFound,
    OrganizationGuard,
)
from portal.smtp.values import Bundle
from tests.portal.delivery.staging import check, free_port, said, silent_port
from tests.smtp_client import FixedGuard, bundle_for
from tests.smtp_server import SmtpServer, raw, reply


class Pauses(list[float]):
    """Counts the seconds instead of waiting them."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def coarse_answer(bundle: Bundle, guard: Any) -> tuple[dict[str, Any], list[float]]:
    pauses = Pauses()
    told = check(bundle, guard=guard, coarse=True, pause=pauses).as_json()
    del told["started_at"], told["ms"]
    return told, pauses


UNKNOWN = NameNotFound("smtp.acme.test", temporary=False)


def test_unknown_refused_filtered_and_forbidden_are_one_answer_for_an_organization() -> None:
    with SmtpServer() as server, silent_port() as silent:
        closed = bundle_for(server, port=free_port())
        filtered = bundle_for(server, port=silent, connect_timeout=0.05)
        open_inside = bundle_for(server, server="127.0.0.1")
        answers = [
            coarse_answer(closed, FixedGuard()),
            coarse_answer(filtered, FixedGuard()),
            coarse_answer(open_inside, OrganizationGuard(AllowedDestinations())),
            coarse_answer(closed, FixedGuard(problem=Forbidden("address"))),
            coarse_answer(closed, FixedGuard(problem=Forbidden("port"))),
            coarse_answer(closed, FixedGuard(problem=Forbidden("spelling"))),
            coarse_answer(closed, FixedGuard(problem=UNKNOWN)),
        ]

    assert server.connections == 0
    told = [answer for answer, _ in answers]
    assert all(answer == told[0] for answer in told)
    assert told[0]["failure"]["cause"].startswith("There is no such server, nothing that")
    assert told[0]["failure"]["step"] == "connect"
    assert told[0]["transcript"] == told[0]["capabilities"] == []
    assert not any(step["detail"] or step["ms"] for step in told[0]["steps"])


def test_the_coarse_answer_comes_between_five_and_ten_seconds_after_the_connect_began() -> None:
    with SmtpServer() as server:
        closed = bundle_for(server, port=free_port())
    problems = (None, Forbidden("address"), UNKNOWN)
    for guard in (FixedGuard(problem=problem) for problem in problems):
        _, (pause,) = coarse_answer(closed, guard)
        assert 5 < pause <= 7


def test_a_patient_sender_waits_no_longer_in_a_coarse_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(staged_test, "COARSE_CONNECT", 0.05)
    with SmtpServer() as server, silent_port() as port:
        bundle = bundle_for(server, port=port, connect_timeout=3600.0)
        _, pauses = coarse_answer(bundle, FixedGuard())

    assert len(pauses) == 1


def test_an_organization_sees_no_address() -> None:
    with SmtpServer() as server:
        report = check(bundle_for(server), coarse=True)

    assert report.passed
    assert "127.0.0.1" not in json.dumps(report.as_json())
    assert report.transcript


@pytest.mark.parametrize(
    "script",
    [
        {"greeting": raw(b"SSH-2.0-internal-banner\r\n")},
        {"greeting": reply("554 internal-banner")},
        {"ehlo": reply("550 internal-banner"), "helo": reply("550 internal-banner")},
    ],
)
def test_an_organization_sees_nothing_raw_of_a_peer_that_may_be_no_mail_server(
    script: Any,
) -> None:
    with SmtpServer(script=script) as server:
        coarse = check(bundle_for(server), coarse=True)
        full = check(bundle_for(server))

    assert "internal-banner" not in json.dumps(coarse.as_json())
    assert "internal-banner" in json.dumps(full.as_json())
    assert coarse.failure
    assert full.failure
    assert coarse.failure.cause == full.failure.cause


def test_an_organization_is_told_what_its_own_mail_server_said() -> None:
    with SmtpServer(script={"rcpt": reply("550 5.1.1 no such user")}) as server:
        report = check(bundle_for(server), coarse=True)

    assert report.failure
    assert report.failure.reply == "5.1.1 no such user"


def test_a_name_server_that_does_not_answer_is_told_at_once_to_an_organization() -> None:
    with SmtpServer() as server:
        bundle = bundle_for(server)
    pauses = Pauses()
    guard = FixedGuard(problem=NameNotFound("smtp.acme.test", temporary=True))
    report = check(bundle, guard=guard, coarse=True, pause=pauses)

    assert said(report) == "The look-up of the server name got no answer."
    assert pauses == []


@pytest.mark.parametrize("problem", [UNKNOWN, Forbidden("address")])
def test_the_preset_for_the_address_is_offered_whatever_is_not_told(problem: Any) -> None:
    with SmtpServer() as server:
        bundle = bundle_for(server, from_address="ann@qq.com")
    told, _ = coarse_answer(bundle, FixedGuard(problem=problem))
    assert [repair["server"] for repair in told["failure"]["repairs"]] == ["smtp.qq.com"]
