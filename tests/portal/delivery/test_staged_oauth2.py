"""What a staged test tells of an OAuth2 login, to the host and to an organization."""

from portal.smtp.values import Bundle
from tests.portal.delivery.staging import check, free_port, said, silent_port, steps_of
from tests.portal.delivery.test_coarse_test import Pauses, coarse_answer
from tests.portal.smtp.oauth2_setting import CLIENTS, guard_for, sender
from tests.smtp_server import SmtpServer
from tests.token_server import TokenServer, refusal


def test_the_login_by_a_token_is_one_step_after_the_connection() -> None:
    with (
        TokenServer(clients=CLIENTS) as tokens,
        SmtpServer(tls="tls", tokens=tokens.live) as server,
    ):
        bundle = sender(tokens, port=server.port)
        report = check(bundle, guard=guard_for(server.port, tokens.port))

    assert report.passed
    assert list(steps_of(report)) == [
        *("dns", "connect", "tls", "greeting", "ehlo", "auth", "mail", "rcpt", "reset")
    ]


def test_a_token_without_a_server_is_no_login_yet() -> None:
    port = free_port()
    with TokenServer(clients=CLIENTS) as tokens:
        report = check(sender(tokens, port=port), guard=guard_for(port, tokens.port))

    assert (steps_of(report)["connect"], steps_of(report)["auth"]) == (False, None)


def test_a_refused_client_is_told_before_the_connection() -> None:
    with (
        TokenServer(answers=[refusal("invalid_client", "AADSTS7000215: Invalid.")]) as tokens,
        SmtpServer(tls="tls", tokens=tokens.live) as server,
    ):
        bundle = sender(tokens, port=server.port)
        report = check(bundle, guard=guard_for(server.port, tokens.port))

    assert said(report) == "The client secret is wrong or has expired."
    assert (steps_of(report)["dns"], steps_of(report)["auth"]) == (None, False)
    assert report.failure
    assert report.failure.reply == "invalid_client: AADSTS7000215: Invalid."
    assert server.connections == 0


def test_a_refused_client_is_told_to_an_organization_without_the_raw_answer() -> None:
    with TokenServer(answers=[refusal("invalid_client", "internal-text")]) as tokens:
        told, _ = coarse_answer(sender(tokens), guard_for(tokens.port))

    assert told["failure"]["cause"] == "The client secret is wrong or has expired."
    assert "internal-text" not in str(told)


def test_an_endpoint_refused_filtered_or_forbidden_is_one_answer_for_an_organization() -> None:
    with TokenServer(clients=CLIENTS) as tokens, silent_port() as silent:
        closed = _at(tokens, free_port())
        filtered = _at(tokens, silent, connect_timeout=0.05)
        plain = sender(tokens, token_url=tokens.url.replace("https:", "http:"))
        answers = [
            coarse_answer(closed, guard_for(_port(closed))),
            coarse_answer(filtered, guard_for(silent)),
            coarse_answer(sender(tokens), guard_for()),
            coarse_answer(plain, guard_for()),
        ]
        assert tokens.connections == 0

    told = [answer for answer, _ in answers]
    assert all(answer == told[0] for answer in told)
    assert told[0]["failure"]["cause"].startswith("The token endpoint gives no token, or")
    assert told[0]["failure"]["step"] == "auth"
    assert not any(step["detail"] or step["ms"] for step in told[0]["steps"])


def test_the_coarse_answer_of_an_endpoint_takes_its_time() -> None:
    with TokenServer(clients=CLIENTS) as tokens:
        closed = _at(tokens, free_port())
        for guard in (guard_for(_port(closed)), guard_for()):
            pauses = Pauses()
            check(closed, guard=guard, coarse=True, pause=pauses)
            assert len(pauses) == 1
            assert 5 < pauses[0] <= 7


def _at(tokens: TokenServer, port: int, **changes: object) -> Bundle:
    url = f"https://smtp.acme.test:{port}/token"
    return sender(tokens, token_url=url, port=port, **changes)


def _port(bundle: Bundle) -> int:
    return bundle.port
