"""Faults before a mail is named: the name, the connection, TLS, the greeting and the login."""

import itertools
import resource
import socket
import ssl
import uuid
from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from flask import Flask

from portal.audit.log import OPERATOR
from portal.delivery.models import State
from portal.identity.models import Organization
from portal.settings import changes
from portal.settings.scope import Scope
from tests import smtp_certificates
from tests.cast import Cast
from tests.delivering import aim, all_in, allow, enqueue, outcomes, record, take_turns, until
from tests.delivering import worker_thread as working
from tests.faults.routes import Names, alice, deferred, held, later, people
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer, drip, drop, endless, hang, long_line, raw, reply

NAME = "smtp.globex.test"
LOGIN = {"authentication": "password", "username": "globex"}
CLEAR = LOGIN | {"allow_clear_login": True}
PASSWORD = "seven blue lamps"
ACCOUNTS = {"globex": PASSWORD}


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    return made


def open_name(server: SmtpServer) -> None:
    changes.save_allowed_destinations([f"{NAME}:{server.port}"], actor=OPERATOR)


@pytest.mark.fault(1)
def test_a_name_that_is_not_found_holds_and_one_that_nobody_answers_for_defers(
    globex: Organization, ledger: Ledger, server: SmtpServer, names: Names
) -> None:
    names.answer(NAME, socket.gaierror(socket.EAI_NONAME, "NXDOMAIN"))
    open_name(server)
    aim(Scope.of(globex), "main", server, server=NAME)
    ids = ledger.note(enqueue(globex, *people(3)))
    take_turns()
    assert held(ids, "dns", "name_not_found").reply == NAME
    names.answer(NAME, ["127.0.0.1"])
    later()
    assert all_in(State.ACCEPTED, ids)()

    names.answer(NAME, socket.gaierror(socket.EAI_AGAIN, "SERVFAIL"))
    (one,) = ledger.note(enqueue(globex, *people(1)))
    take_turns()
    assert deferred(one, "dns", "name_lookup_failed").reply == NAME
    names.answer(NAME, ["127.0.0.1"])
    later()
    assert outcomes(one) == ["deferred", "accepted"]
    ledger.check(server)


@pytest.mark.fault(2)
def test_a_name_that_moves_to_a_closed_address_is_not_followed(
    globex: Organization, ledger: Ledger, server: SmtpServer, names: Names
) -> None:
    """Each session connects to the very address that was checked for it."""
    with socket.create_server(("127.0.0.2", server.port)) as inside:
        inside.setblocking(False)
        names.answer(NAME, ["127.0.0.1"], ["127.0.0.2"])
        aim(Scope.of(globex), "main", server, server=NAME)
        (first,) = ledger.note(enqueue(globex, *people(1)))
        take_turns()
        assert record(first).state is State.ACCEPTED
        assert names.asked == [NAME]

        ids = ledger.note(enqueue(globex, *people(2)))
        take_turns()
        attempt = held(ids, "policy", "forbidden_destination")
        assert attempt.ip is None
        assert "127.0.0.2" not in (attempt.reply or "")
        with pytest.raises(BlockingIOError):
            inside.accept()
    ledger.check(server)


@pytest.mark.fault(3)
def test_a_refused_connection_holds_all_until_the_server_is_back(
    globex: Organization, ledger: Ledger
) -> None:
    with SmtpServer() as gone:
        pass
    allow(gone)
    aim(Scope.of(globex), "main", gone)
    ids = ledger.note(enqueue(globex, *people(5)))
    take_turns()
    attempt = held(ids, "connect", "connect_refused")
    assert attempt.reply == "127.0.0.1: connect_refused"
    with SmtpServer(port=gone.port) as back:
        later()
        assert all_in(State.ACCEPTED, ids)()
        ledger.check(back)


@pytest.fixture
def blackhole() -> Iterator[int]:
    """A port where no connection ever comes about: its queue is full and nobody accepts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


@pytest.mark.fault(4)
def test_a_server_that_answers_no_connection_costs_the_others_nothing(
    app: Flask,
    acme: Organization,
    globex: Organization,
    cast: Cast,
    ledger: Ledger,
    server: SmtpServer,
    blackhole: int,
) -> None:
    changes.save_allowed_destinations([f"127.0.0.1:{blackhole}"], actor=OPERATOR)
    aim(Scope.of(globex), "main", server, port=blackhole, connect_timeout=1)
    theirs = ledger.note(enqueue(globex, *people(3)))
    ours = ledger.note(enqueue(acme, *[alice(cast)] * 20))
    with working(app):
        until(all_in(State.ACCEPTED, ours))
        until(all_in(State.HELD, theirs))
    attempt = held(theirs, "connect", "connect_timeout")
    assert attempt.reply == "127.0.0.1: connect_timeout"
    assert (attempt.ms or 0) >= 0
    ledger.check(server)


@pytest.mark.fault(5)
def test_a_dead_first_address_is_passed_over_and_where_all_are_dead_each_is_named(
    globex: Organization, ledger: Ledger, server: SmtpServer, names: Names
) -> None:
    open_name(server)
    names.answer(NAME, ["127.0.0.2", "127.0.0.1"])
    aim(Scope.of(globex), "main", server, server=NAME)
    (one,) = ledger.note(enqueue(globex, *people(1)))
    take_turns()
    assert outcomes(one) == ["accepted"]
    assert record(one).ip == record(one).attempts[0].ip == "127.0.0.1"

    names.answer(NAME, ["127.0.0.2", "127.0.0.3"])
    ids = ledger.note(enqueue(globex, *people(2)))
    take_turns()
    attempt = held(ids, "connect", "connect_refused")
    assert attempt.reply == "127.0.0.2: connect_refused; 127.0.0.3: connect_refused"
    ledger.check(server)


@pytest.mark.fault(6, 7)
@pytest.mark.parametrize("name", ["silent", "dripping"])
def test_a_silent_or_dripping_server_meets_a_deadline_and_holds_its_mail_alone(
    app: Flask,
    acme: Organization,
    globex: Organization,
    cast: Cast,
    ledger: Ledger,
    server: SmtpServer,
    name: str,
) -> None:
    slow = {"silent": hang(), "dripping": drip(b"220 " + b"x" * 900, every=0.05)}[name]
    with SmtpServer(script={"greeting": slow}) as dead:
        allow(dead)
        aim(Scope.of(globex), "main", dead, command_timeout=1)
        theirs = ledger.note(enqueue(globex, *people(3)))
        with working(app):
            ours = ledger.note(enqueue(acme, *[alice(cast)] * 5))
            until(all_in(State.ACCEPTED, ours))
            until(all_in(State.HELD, theirs))
        cause = {"silent": "no_greeting", "dripping": "timeout"}[name]
        attempt = held(theirs, "greeting", cause)
        said = (attempt.reply or "").removeprefix("no answer in time; ")
        assert int(said.removesuffix(" bytes read")) < 900
        assert (said == "0 bytes read") is (name == "silent")
        ledger.check(dead, server)


@pytest.mark.fault(8)
def test_a_reply_without_end_is_cut_off_and_memory_stays_small(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    ledger.note(enqueue(globex, *people(1)))
    take_turns()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for phase, babble in itertools.product(("greeting", "mail"), (endless(250), long_line())):
        server.set_script(**{phase: [babble]})
        (one,) = ledger.note(enqueue(globex, *people(1)))
        take_turns()
        deferred(one, phase, "reply_too_long")
        later()
        assert outcomes(one) == ["deferred", "accepted"]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 20_000, "kilobytes"
    ledger.check(server)


@pytest.mark.fault(11)
def test_helo_stands_in_for_ehlo_only_where_nothing_needs_more(
    globex: Organization, ledger: Ledger, server: SmtpServer
) -> None:
    server.set_script(ehlo=reply("502 5.5.1 unknown"))
    ids = ledger.note(enqueue(globex, *people(1)))
    take_turns()
    assert all_in(State.ACCEPTED, ids)()
    assert [line.split()[0] for line in server.commands[:2]] == ["EHLO", "HELO"]

    with SmtpServer(auth=ACCOUNTS, script={"ehlo": reply("502 unknown")}) as bare:
        allow(bare)
        aim(Scope.of(globex), "main", bare, secret=PASSWORD, **CLEAR)
        ids = ledger.note(enqueue(globex, *people(2)))
        take_turns()
        held(ids, "ehlo", "ehlo_refused", code=502)
        assert not any(line.startswith(("HELO", "AUTH")) for line in bare.commands)
        ledger.check(server, bare)


@pytest.fixture
def repaired(globex: Organization, ledger: Ledger) -> Callable[..., None]:
    """Checks that mail which met faults of its sender goes out once the sender is repaired."""

    def check(ids: list[uuid.UUID], *servers: SmtpServer) -> None:
        with SmtpServer() as sound:
            allow(sound)
            aim(Scope.of(globex), "main", sound, encryption="none", authentication="none")
            take_turns()
            assert all_in(State.ACCEPTED, ids)()
            assert len(sound.messages) == len(ids)
            ledger.check(sound, *servers)

    return check


Repaired = Callable[..., None]


@pytest.mark.fault(12)
def test_encryption_that_is_missing_or_refused_is_never_given_up(
    globex: Organization, ledger: Ledger, repaired: Repaired
) -> None:
    refusing = {"starttls": reply("454 4.7.0 TLS not available")}
    plain = SmtpServer(auth=ACCOUNTS)
    later_perhaps = SmtpServer(auth=ACCOUNTS, tls="starttls", script=refusing)
    with plain, later_perhaps:
        allow(plain, later_perhaps)
        ids = ledger.note(enqueue(globex, *people(3)))
        for server in (plain, later_perhaps):
            trust = {"encryption": "starttls", "ca": server.ca}
            aim(Scope.of(globex), "main", server, secret=PASSWORD, **trust, **LOGIN)
            take_turns()
            if server is plain:
                held(ids, "starttls", "starttls_missing")
            else:
                held(ids, "starttls", "starttls_refused", code=454, times=2)
            assert server.auth_bytes == 0
            assert not any(line.startswith("MAIL") for line in server.commands)
        repaired(ids, plain, later_perhaps)


@pytest.mark.fault(13)
def test_a_handshake_that_fails_holds_and_says_why(
    globex: Organization, ledger: Ledger, repaired: Repaired
) -> None:
    aborting = SmtpServer(tls="starttls", auth=ACCOUNTS, script={"handshake": drop()})
    old = SmtpServer(tls="tls", auth=ACCOUNTS, newest_tls=ssl.TLSVersion.TLSv1_1)
    plain = SmtpServer(auth=ACCOUNTS)
    cases = [
        (aborting, "starttls", "tls_failed"),
        (old, "tls", "tls_old_protocol"),
        (plain, "tls", "tls_wrong_version"),
    ]
    with aborting, old, plain:
        allow(aborting, old, plain)
        ids = ledger.note(enqueue(globex, *people(3)))
        for times, (server, encryption, cause) in enumerate(cases, 1):
            trust = {"encryption": encryption, "ca": server.ca}
            aim(Scope.of(globex), "main", server, secret=PASSWORD, **trust, **LOGIN)
            take_turns()
            held(ids, "tls", cause, times=times)
            assert server.auth_bytes == 0
        repaired(ids, aborting, old, plain)


@pytest.mark.fault(14)
def test_a_bad_certificate_gets_no_byte_of_the_login_and_is_named(
    globex: Organization, ledger: Ledger, repaired: Repaired
) -> None:
    certificates = [
        (smtp_certificates.expired(), "tls_expired", "localhost"),
        (smtp_certificates.wrong_name(), "tls_wrong_name", "mail.other.test"),
        (smtp_certificates.unknown_authority(), "tls_untrusted", "localhost"),
        (smtp_certificates.self_signed(), "tls_untrusted", "smtp.acme.test"),
    ]
    ids = ledger.note(enqueue(globex, *people(3)))
    ways: tuple[Literal["starttls", "tls"], ...] = ("starttls", "tls")
    cases = itertools.product(ways, certificates)
    for times, (encryption, (certificate, cause, subject)) in enumerate(cases, 1):
        with SmtpServer(tls=encryption, auth=ACCOUNTS, certificate=certificate) as server:
            allow(server)
            trust = {"encryption": encryption, "ca": server.ca}
            aim(Scope.of(globex), "main", server, secret=PASSWORD, **trust, **LOGIN)
            take_turns()
        said = held(ids, "tls", cause, times=times).reply or ""
        assert f"certificate for {subject}; names" in said
        assert "valid until " in said
        assert server.auth_bytes == 0
    repaired(ids)


@pytest.mark.fault(15)
def test_what_was_injected_behind_starttls_is_void(globex: Organization, ledger: Ledger) -> None:
    injected = b"220 go ahead\r\n250-evil\r\n250 AUTH PLAIN\r\n235 welcome\r\n"
    script = {"starttls": raw(injected)}
    with SmtpServer(tls="starttls", auth=ACCOUNTS, script=script) as server:
        allow(server)
        trust = {"encryption": "starttls", "ca": server.ca}
        aim(Scope.of(globex), "main", server, secret=PASSWORD, **trust, **LOGIN)
        ids = ledger.note(enqueue(globex, *people(2)))
        take_turns()
        assert all_in(State.ACCEPTED, ids)()
        assert {message.authenticated_as for message in server.messages} == {"globex"}
        assert [line.split()[0] for line in server.commands[:4]] == [
            "EHLO",
            "STARTTLS",
            "EHLO",
            "AUTH",
        ]
        ledger.check(server)


@pytest.mark.fault(16)
def test_a_login_that_is_not_offered_holds_and_sends_no_password(
    globex: Organization, ledger: Ledger, repaired: Repaired
) -> None:
    with SmtpServer() as server:
        allow(server)
        aim(Scope.of(globex), "main", server, secret=PASSWORD, **CLEAR)
        ids = ledger.note(enqueue(globex, *people(3)))
        take_turns()
        held(ids, "auth", "auth_missing")
        assert server.auth_bytes == 0
        assert not any(line.startswith("MAIL") for line in server.commands)
        repaired(ids, server)


@pytest.mark.fault(18)
def test_a_login_that_is_refused_for_now_defers(globex: Organization, ledger: Ledger) -> None:
    with SmtpServer(auth=ACCOUNTS) as server:
        allow(server)
        aim(Scope.of(globex), "main", server, secret=PASSWORD, **CLEAR)
        for code in (454, 432):
            server.set_script(auth=[reply(f"{code} 4.7.0 try again later")])
            (one,) = ledger.note(enqueue(globex, *people(1)))
            take_turns()
            deferred(one, "auth", "auth_temporary", code=code)
            later()
            assert outcomes(one) == ["deferred", "accepted"]
        ledger.check(server)
