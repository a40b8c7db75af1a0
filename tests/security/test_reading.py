"""Looking changes nothing: every page and call that is read leaves the tables as they were."""

import pytest

from tests.page_rules import broken, parse
from tests.security import who_may
from tests.security.doors import FRAMED, all_doors, home_of, owner_of
from tests.security.world import Caller, Who, World

_QUESTION = "?verdict=approved&q=disk&after=x&from=2026-01-01&state=failed&limit=1"

# HEAD runs the handlers of GET: few are enough.
_READERS = {Who.ALICE, Who.RITA, Who.ACME_READ, Who.HOST_READ}


@pytest.mark.parametrize(
    ("method", "question"), [("GET", _QUESTION), ("HEAD", "")], ids=["GET", "HEAD"]
)
def test_nothing_changes_when_everyone_reads_everything(
    world: World, method: str, question: str, nothing_changes: None
) -> None:
    """Own things, with questions too; what may be written is tests/security/tables.py, TRACES."""
    for door in all_doors(world.app):
        for caller in world.callers.values():
            if not door.is_safe or caller.is_system is not door.is_api:
                continue
            if method == "HEAD" and caller.who not in _READERS:
                continue
            slug = "globex" if home_of(caller) == "globex" else "acme"
            path = door.at(world, slug=slug, owner=owner_of(door, slug, caller))
            answer = caller.call(method, path + question)
            assert answer.status_code < 500, f"{caller.who}: {method} {path}{question}"


def test_fifty_looks_at_the_links_of_a_mail_decide_nothing(
    world: World, nothing_changes: None
) -> None:
    """A scanner that opens every link, as one who is signed in and as one who is not."""
    secret = world.things["acme"]["decision"]
    for who in (Who.NOBODY, Who.BOB):
        for look in range(50):
            verdict = "approved" if look % 2 else "rejected"
            answer = world.callers[who].call("GET", f"/decide/{secret}?verdict={verdict}")
            assert answer.status_code == 200


def test_no_page_holds_script_or_style_of_its_own(world: World) -> None:
    """Every page as everyone who may open it sees it, by all of tests/page_rules.py."""
    problems: list[str] = []
    for door in all_doors(world.app):
        for caller in _readers(world, door.endpoint):
            if not door.is_safe or door.is_api or door.endpoint in FRAMED:
                continue
            path = door.at(world, slug="acme", owner=owner_of(door, "acme", caller))
            answer = caller.call("GET", path)
            if answer.mimetype == "text/html" and answer.status_code not in (301, 303):
                found = broken(world.app, answer, parse(answer))
                problems += [f"{caller.who}: {path}: {problem}" for problem in found]
    assert not problems, "\n".join(problems)


def _readers(world: World, endpoint: str) -> list[Caller]:
    """One of each role that sees a page differently."""
    roles = (Who.NOBODY, Who.BOB, Who.ALICE, Who.RITA)
    return [world.callers[who] for who in roles if who in who_may.PAGES.get(endpoint, frozenset())]
