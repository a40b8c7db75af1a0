"""Every kind of reply in every phase: what it comes to, in which phase, and whether the session
lives on; by the dialogue alone, the blocking session and the session of the selector loop."""

from dataclasses import dataclass, replace

import pytest

from portal.smtp.diagnosis import FailureClass, classify
from portal.smtp.dialogue import Dialogue
from portal.smtp.values import Accepted, Authentication, Bundle, Encryption, Failure, Phase, Refused
from tests.portal.smtp.conversation import bundle
from tests.portal.smtp.drivers import (
    BlockingDriver,
    LiveDriver,
    PureDriver,
    open_blocking,
    open_purely,
)
from tests.portal.smtp.peer import REFUSED_TOKEN, Clock, Peer, Script, Turn, still

__all__ = ["still"]


@dataclass(frozen=True)
class Kind:
    """What the server says, with `code` for the one that is awaited; `means`: whose column of the
    tables below tells what it comes to."""

    means: str
    line: bytes
    closes: bool = False
    silent: bool = False

    def turn(self, code: int) -> Turn:
        return Turn(self.line.replace(b"code", b"%d" % code), self.closes, self.silent)


KINDS = {
    "awaited": Kind("awaited", b"code x\r\n"),
    "awaited, in lines": Kind("awaited", b"code-x\r\ncode y\r\n"),
    "awaited, bare line feed": Kind("awaited", b"code\n"),
    "awaited, 5.1.1": Kind("awaited", b"code 5.1.1 x\r\n"),
    "251": Kind("2yz", b"251 x\r\n"),
    "334": Kind("3yz", b"334 \r\n"),
    "399": Kind("3yz", b"399 x\r\n"),
    "451": Kind("4yz", b"451 4.3.0 x\r\n"),
    "554": Kind("5yz", b"554 5.7.1 x\r\n"),
    "554, in lines": Kind("5yz", b"554-5.7.1 x\r\n554 5.7.1 y\r\n"),
    "554, 2.0.0": Kind("5yz", b"554 2.0.0 x\r\n"),
    "421": Kind("421", b"421 4.3.2 x\r\n"),
    "421 and a close": Kind("421", b"421 4.3.2 x\r\n", closes=True),
    "199": Kind("garbled", b"199 x\r\n"),
    "600": Kind("garbled", b"600 x\r\n"),
    "000": Kind("garbled", b"000 x\r\n"),
    "2500": Kind("garbled", b"2500 x\r\n"),
    "no code": Kind("garbled", b"hello there\r\n"),
    "two codes": Kind("garbled", b"code-x\r\n550 y\r\n"),
    "an empty line": Kind("garbled", b"\r\n"),
    "a code of Unicode digits": Kind("garbled", "２５０ x\r\n".encode()),
    "a long line": Kind("long", b"code " + b"x" * 4096),
    "many lines": Kind("long", b"code-x\r\n" * 100),
    "many long lines": Kind("long", (b"code-" + b"x" * 4000 + b"\r\n") * 17),
    "8-bit": Kind("unclean", b"code \xe9\r\n"),
    "NUL": Kind("unclean", b"code \0\r\n"),
    "a bare carriage return": Kind("unclean", b"code x\ry\r\n"),
    "554, 8-bit": Kind("unclean 5yz", b"554 5.7.1 \xe9\r\n"),
    "closed": Kind("closed", b"", closes=True),
    "closed in a reply": Kind("cut", b"code-x\r\n", closes=True),
    "silent": Kind("silent", b"", silent=True),
    "silent in a reply": Kind("half", b"code-x\r\n", silent=True),
}
CLASSES = {
    "R": FailureClass.ROUTE_FAULT,
    "T": FailureClass.TEMPORARY,
    "N": FailureClass.RECIPIENT,
    "M": FailureClass.MESSAGE,
}


def rows(table: str) -> dict[str, dict[str, str]]:
    """The lines of a table by their first word, each by the words of the first line."""
    first, *others = (line.split("|") for line in table.strip().splitlines())
    heads = [head.strip() for head in first[1:]]
    return {
        name.strip(): dict(zip(heads, (cell.strip() for cell in cells), strict=True))
        for name, *cells in others
    }


# Cause and failure class; "ok" where the session opens.
OPENING = rows(
    """
                | 2yz              | 3yz              | 4yz                | 5yz                | 421
greeting        | protocol_error T | protocol_error T | busy T             | greeting_refused R | busy T
ehlo            | starttls_missing R| protocol_error T| busy T             | ehlo_refused R     | busy T
ehlo or helo    | ok               | protocol_error T | busy T             | ok                 | busy T
helo            | ok               | protocol_error T | busy T             | ehlo_refused R     | busy T
starttls        | protocol_error T | protocol_error T | starttls_refused R | starttls_refused R | starttls_refused R
ehlo again      | auth_missing R   | protocol_error T | busy T             | ehlo_refused R     | busy T
plain           | ok               | protocol_error T | auth_temporary T   | auth_refused R     | auth_temporary T
plain, asked    | ok               | protocol_error T | auth_temporary T   | auth_refused R     | auth_temporary T
plain, answer   | ok               | protocol_error T | auth_temporary T   | auth_refused R     | auth_temporary T
login, asked    | ok               | protocol_error T | auth_temporary T   | auth_refused R     | auth_temporary T
login, name     | ok               | protocol_error T | auth_temporary T   | auth_refused R     | auth_temporary T
login, password | ok               | protocol_error T | auth_temporary T   | auth_refused R     | auth_temporary T
token           | ok               | protocol_error T | auth_temporary T   | token_refused R    | auth_temporary T
token, refused  | ok               | protocol_error T | auth_temporary T   | token_refused R    | auth_temporary T
"""  # noqa: E501
)
EVERYWHERE = {
    "garbled": "protocol_error T",
    "long": "reply_too_long T",
    "unclean": "protocol_error T",
    "unclean 5yz": "protocol_error T",
    "closed": "connection_lost R",
    "cut": "connection_lost R",
    "silent": "timeout R",
    "half": "timeout R",
}
LOGINS = [name for name in OPENING if name.split(",")[0] in ("plain", "login", "token")]
FOUND = {  # what differs from the tables above
    ("greeting", "closed"): "no_greeting R",
    ("greeting", "silent"): "no_greeting R",
    ("ehlo", "awaited"): "starttls_missing R",
    ("ehlo again", "awaited"): "auth_missing R",
    # A refused login is one whatever its text holds: nobody tries it again.
    **{(name, "unclean 5yz"): OPENING[name]["5yz"] for name in LOGINS},
    ("token, refused", "awaited"): "token_refused R",
    ("token, refused", "unclean"): "token_refused R",
}
# Where 334 asks on, or says why a token is refused.
ASKS = ("plain, asked", "login, asked", "login, name", "token")


@dataclass(frozen=True)
class Way:
    """How a phase is reached: which step of the script it is, with which code to go on."""

    step: str
    code: int
    phase: Phase
    phase_after: Phase
    bundle: Bundle
    before: tuple[tuple[str, Turn], ...] = ()


def login(by: Authentication, secret: str = "pass") -> Bundle:
    return replace(bundle(Encryption.NONE, by), secret=secret, allow_clear_login=True)


def offers(mechanism: bytes) -> tuple[str, Turn]:
    return "ehlo", Turn(b"250-mx\r\n250 AUTH " + mechanism + b"\r\n")


P = Phase
OPEN = bundle(Encryption.NONE, Authentication.NONE)
PASSWORD = login(Authentication.PASSWORD)
LONG = login(Authentication.PASSWORD, "p" * 600)
TOKEN = login(Authentication.OAUTH2_REFRESH_TOKEN)
REFUSES_TOKEN = ("auth", Turn(REFUSED_TOKEN))
WAYS = {
    "greeting": Way("greeting", 220, P.GREETING, P.GREETING, bundle()),
    "ehlo": Way("ehlo", 250, P.EHLO, P.STARTTLS, bundle()),
    "ehlo or helo": Way("ehlo", 250, P.EHLO, P.EHLO, OPEN),
    "helo": Way("helo", 250, P.EHLO, P.EHLO, OPEN, (("ehlo", Turn(b"502 what\r\n")),)),
    "starttls": Way("starttls", 220, P.STARTTLS, P.STARTTLS, bundle()),
    "ehlo again": Way("ehlo again", 250, P.EHLO, P.AUTH, bundle()),
    "plain": Way("auth", 235, P.AUTH, P.AUTH, PASSWORD, (offers(b"PLAIN"),)),
    "plain, asked": Way("auth", 334, P.AUTH, P.AUTH, LONG, (offers(b"PLAIN"),)),
    "plain, answer": Way("answer 1", 235, P.AUTH, P.AUTH, LONG, (offers(b"PLAIN"),)),
    "login, asked": Way("auth", 334, P.AUTH, P.AUTH, PASSWORD, (offers(b"LOGIN"),)),
    "login, name": Way("answer 1", 334, P.AUTH, P.AUTH, PASSWORD, (offers(b"LOGIN"),)),
    "login, password": Way("answer 2", 235, P.AUTH, P.AUTH, PASSWORD, (offers(b"LOGIN"),)),
    "token": Way("auth", 235, P.AUTH, P.AUTH, TOKEN, (offers(b"XOAUTH2"),)),
    "token, refused": Way(
        "answer 1", 535, P.AUTH, P.AUTH, TOKEN, (offers(b"XOAUTH2"), REFUSES_TOKEN)
    ),
}
OPENING_ROWS = [(name, kind) for name in WAYS for kind in KINDS]


def expected_of(name: str, kind: str) -> str:
    means = KINDS[kind].means
    if kind == "334" and name in ASKS:
        return "ok"
    cells = {"awaited": "ok"} | EVERYWHERE | OPENING[name]
    return FOUND.get((name, means), cells[means])


@pytest.mark.parametrize("drive", ["bytes", "blocking"])
@pytest.mark.parametrize(("name", "kind"), OPENING_ROWS)
def test_what_the_server_says_while_a_session_opens(name, kind, drive, still):
    way, expected = WAYS[name], expected_of(name, kind)
    script = Script({**dict(way.before), way.step: KINDS[kind].turn(way.code)}, pipelining=True)
    dialogue = Dialogue(way.bundle, ip="192.0.2.1", token="token")
    failure = opened_by(drive, dialogue, script, still)
    if expected == "ok":
        assert failure is None
        return
    assert failure
    cause, letter = expected.split()
    after = KINDS[kind].means in ("awaited", "2yz")
    assert (failure.phase, failure.cause) == (way.phase_after if after else way.phase, cause)
    assert classify(failure) is CLASSES[letter]
    assert said(failure) == said_by(kind)
    assert not dialogue.usable
    assert dialogue.take() == b""


def opened_by(drive: str, dialogue: Dialogue, script: Script, still: Clock) -> Failure | None:
    if drive == "bytes":
        return open_purely(dialogue, script)
    peer = Peer(script, still)
    found = open_blocking(dialogue, peer)
    peer.close()
    return found if isinstance(found, Failure) else None


def said(failure: Failure) -> tuple[int | None, str | None]:
    """Code and enhanced code, where they are of a refusal."""
    refuses = failure.code is not None and failure.code >= 400
    return (
        (failure.code, failure.enhanced_code) if refuses and failure.code != 535 else (None, None)
    )


def said_by(kind: str) -> tuple[int | None, str | None]:
    told = {"4yz": (451, "4.3.0"), "5yz": (554, "5.7.1"), "421": (421, "4.3.2")}
    told["unclean 5yz"] = told["5yz"]
    return (554, None) if kind == "554, 2.0.0" else told.get(KINDS[kind].means, (None, None))


# Outcome, cause, failure class, and whether the session stays usable (+) or not (-).
TRANSACTION = rows(
    """
            | mail                         | rcpt                            | data                            | body                       | dot
awaited     | accepted +                   | accepted +                      | accepted +                      | refused protocol_error T - | accepted +
2yz         | accepted +                   | accepted +                      | refused protocol_error T -      | refused protocol_error T - | accepted +
3yz         | refused protocol_error T -   | refused protocol_error T -      | refused protocol_error T -      | refused protocol_error T - | unknown protocol_error T -
4yz         | refused sender_temporary T + | refused recipient_temporary T + | refused content_temporary T +   | refused protocol_error T - | refused content_temporary T +
5yz         | refused sender_refused R +   | refused recipient_refused N +   | refused content_refused M +     | refused protocol_error T - | refused content_refused M +
421         | refused busy T -             | refused busy T -                | refused busy T -                | refused busy T -           | refused busy T -
garbled     | refused protocol_error T -   | refused protocol_error T -      | refused protocol_error T -      | refused protocol_error T - | unknown protocol_error T -
long        | refused reply_too_long T -   | refused reply_too_long T -      | refused reply_too_long T -      | refused reply_too_long T - | unknown reply_too_long T -
unclean     | refused protocol_error T -   | refused protocol_error T -      | refused protocol_error T -      | refused protocol_error T - | accepted -
unclean 5yz | refused protocol_error T -   | refused protocol_error T -      | refused protocol_error T -      | refused protocol_error T - | refused protocol_error T -
closed      | refused connection_lost T -  | refused connection_lost T -     | refused connection_lost T -     | refused connection_lost T - | unknown lost_after_dot T -
cut         | refused connection_lost T -  | refused connection_lost T -     | refused connection_lost T -     | refused protocol_error T - | unknown lost_after_dot T -
silent      | refused timeout T -          | refused timeout T -             | refused timeout T -             | refused timeout T -        | unknown timeout_after_dot T -
half        | refused timeout T -          | refused timeout T -             | refused timeout T -             | refused protocol_error T - | unknown timeout_after_dot T -
"""  # noqa: E501
)
CODES = {"mail": 250, "rcpt": 250, "data": 354, "body": 250, "dot": 250}
# Unasked, more than a read holds is a lie before it is too long.
TRANSACTION_ROWS = [
    (phase, kind)
    for phase in CODES
    for kind in KINDS
    if (phase, kind) != ("body", "many long lines")
]
DRIVERS = {"bytes": PureDriver, "blocking": BlockingDriver, "live": LiveDriver}
UNANSWERED = ("garbled", "long", "unclean", "unclean 5yz", "closed", "cut", "silent", "half")
EACH_WAY = pytest.mark.parametrize("drive", DRIVERS)


@EACH_WAY
@pytest.mark.parametrize(("phase", "kind"), TRANSACTION_ROWS)
def test_what_the_server_says_to_a_message(phase, kind, drive, still):
    for pipelining in (True, False):
        sees_what_the_table_says(phase, kind, pipelining, drive, still)


def sees_what_the_table_says(phase, kind, pipelining, drive, still):
    outcome, *why, mark = TRANSACTION[KINDS[kind].means][phase].split()
    script = Script({phase: KINDS[kind].turn(CODES[phase])}, pipelining=pipelining)
    peer = Peer(script, still)
    session = DRIVERS[drive](Dialogue(OPEN, ip="192.0.2.1"), peer)
    told = session.send()
    assert type(told.outcome).__name__.lower() == outcome
    assert (script.content != b"") is (outcome != "refused" or phase == "dot")
    if why:
        failure = told.outcome.failure
        assert (failure.phase, failure.cause) == (Phase(phase), why[0])
        assert classify(failure) is CLASSES[why[1]]
        assert said(failure) == said_by(kind)
    assert told.usable is (mark == "+")
    if drive != "blocking":  # there nothing was sent before on the session
        assert told.untouched is (phase == "mail" and KINDS[kind].means in UNANSWERED)
    if told.usable:
        again = session.send()
        assert isinstance(again.outcome, Accepted) and again.usable
    session.close()
    peer.close()


@EACH_WAY
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_server_says_to_rset_touches_no_message(kind, drive, still):
    for pipelining in (True, False):
        leaves_the_next_message_untouched(kind, pipelining, drive, still)


def leaves_the_next_message_untouched(kind, pipelining, drive, still):
    turns = {"rcpt": Turn(b"550 5.1.1 who\r\n"), "rset": KINDS[kind].turn(250)}
    peer = Peer(Script(turns, pipelining=pipelining), still)
    session = DRIVERS[drive](Dialogue(OPEN, ip="192.0.2.1"), peer)
    assert isinstance(session.send().outcome, Refused)
    told = session.send()
    if KINDS[kind].means in ("awaited", "2yz"):
        assert isinstance(told.outcome, Accepted) and told.usable
    else:
        assert told.untouched and not told.usable
        assert told.outcome is None or isinstance(told.outcome, Refused)
        assert not peer.script.content
    session.close()
    peer.close()


@pytest.mark.parametrize("drive", ["blocking", "live"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_server_says_to_quit_changes_nothing(kind, drive, still):
    peer = Peer(Script({"quit": KINDS[kind].turn(221)}, pipelining=True), still)
    session = DRIVERS[drive](Dialogue(OPEN, ip="192.0.2.1"), peer)
    assert isinstance(session.send().outcome, Accepted)
    session.close()
    session.close()
    peer.act()
    assert not session.session.usable
    assert peer.script.heard[-1] == "quit"
    peer.close()


@pytest.mark.parametrize("drive", ["blocking", "live"])
@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.means != "silent"])
def test_whatever_is_said_unasked_ends_an_idle_session(kind, drive, still):
    peer = Peer(Script({}, pipelining=True), still)
    session = DRIVERS[drive](Dialogue(OPEN, ip="192.0.2.1"), peer)
    assert isinstance(session.send().outcome, Accepted)
    peer.say(KINDS[kind].turn(250))
    if drive == "live":
        session.session.read()
    else:
        assert session.send().untouched
    assert not session.session.usable
    assert peer.script.heard.count("mail") == 1
    session.close()
    peer.close()


# A second answer behind the right one: where the first belongs, and what the second spoils.
TWICE = [
    ("mail", True, "refused data protocol_error"),
    ("mail", False, "refused rcpt protocol_error"),
    ("rcpt", True, "refused data content_refused"),
    ("rcpt", False, "refused data protocol_error"),
    ("data", True, "refused body protocol_error"),
    ("data", False, "refused body protocol_error"),
    ("dot", True, "accepted"),
    ("dot", False, "accepted"),
]


@EACH_WAY
@pytest.mark.parametrize(("phase", "pipelining", "expected"), TWICE)
def test_an_answer_too_many_ends_the_session(phase, pipelining, expected, drive, still):
    turn = Turn(b"%d x\r\n554 y\r\n" % CODES[phase])
    peer = Peer(Script({phase: turn}, pipelining=pipelining), still)
    session = DRIVERS[drive](Dialogue(OPEN, ip="192.0.2.1"), peer)
    told = session.send()
    outcome, *why = expected.split()
    assert type(told.outcome).__name__.lower() == outcome
    if why:
        assert [told.outcome.failure.phase, told.outcome.failure.cause] == why
    assert not told.usable
    session.close()
    peer.close()
