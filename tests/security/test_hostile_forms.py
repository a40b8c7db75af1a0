"""Every field of every form gets what nobody should enter; then every page is looked at again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from justhtml import Element
from werkzeug.datastructures import MultiDict

from tests.page_form import PageForm
from tests.page_rules import broken, parse
from tests.security import who_may
from tests.security.doors import FRAMED, Door, all_doors, owner_of
from tests.security.world import Caller, Who, World

# `<gp7x` must never come back as markup, 9999999999997 never as the result of a template, X-Gp7
# never as a header.
HOSTILE: Mapping[str, str] = {
    "a line break": "x\r\nX-Gp7: 1\r\n\r\n<gp7x>",
    "a Unicode line break": "x\u2028X-Gp7: 1\u2029\x85<gp7x>",
    "100,000 characters": "x" * 100_000,
    "HTML": "\"'><gp7x onload=alert(1)></textarea></title><gp7x><!--",
    "Liquid and Jinja": "{{ 7 | times: 1428571428571 }}{{ 7 * 1428571428571 }}"
    "{% include '/etc/passwd' %}{% raw %}",
    "emoji": "💥👩‍👩‍👧‍👦\U000e0041",
    "direction": "\u202egnihtyna\u202c\u2066x",
    "NUL": "x\0y",
    "an encoded word": "=?utf-8?q?x=0D=0AX-Gp7:_1?= <a@b.test>, c@d.test",
    "a formula": '=HYPERLINK("http://evil.test","x")',
    "a huge number": "9" * 400,
    "minus": "-1",
    "a format": "%s%n%(x)s{0.__class__}",
    "SQL": "x'; DROP TABLE users; --\\",
    "nothing": "",
    "spaces": " \t\u00a0 ",
}
# What these can do alone, they do in each field beside sound values in all others.
_ALONE = ("NUL", "a huge number", "a Unicode line break", "HTML")
# What a form wants filled in before it looks at the rest.
_SOUND = {
    "email": "new@acme.test",
    "password": "ten orange lamps in a row",
    "name": "Sound",
    "title": "Sound",
    "display_name": "Sound",
    "from_address": "sound@acme.test",
    "server": "smtp.sound.test",
    "slug": "sound",
}


@dataclass(frozen=True)
class Found:
    """One form of one page, and what a browser would send."""

    caller: Caller
    page: str
    action: str
    data: MultiDict[str, str]

    @property
    def fields(self) -> list[str]:
        return [name for name in dict.fromkeys(self.data) if name != "csrf_token"]


def test_the_forms_are_found(world: World) -> None:
    """Without forms the tests above would prove nothing."""
    found = {form.action.rpartition("/")[2] for form in _forms(world)}
    assert {"sign-in", "recovery", "profile", "edit", "new", "acme"} <= found


def test_every_form_takes_or_refuses_it_in_all_its_fields(world: World) -> None:
    for form in _forms(world):
        for name, value in HOSTILE.items():
            form = _send(form, dict.fromkeys(form.fields, value), name)


def test_every_form_takes_or_refuses_it_in_one_field(world: World) -> None:
    """The first two are what the databases themselves disagree about."""
    names = _ALONE if world.app.extensions["config"].is_sqlite else _ALONE[:2]
    for form in _forms(world):
        for field in form.fields:
            for name in names:
                form = _send(form, {field: HOSTILE[name]}, f"{name} in {field}")


def test_every_page_is_sound_with_what_was_stored(world: World) -> None:
    """What the forms took is shown as text, and pages stay valid."""
    problems: list[str] = []
    for door, caller in _pages(world):
        answer = caller.call("GET", _address(world, door, caller))
        assert answer.status_code < 500, f"{door}: {answer.status_code}"
        if answer.mimetype == "text/html" and answer.status_code != 303:
            assert "<gp7x" not in answer.text and "9999999999997" not in answer.text, str(door)
            found = broken(world.app, answer, parse(answer))
            # Code that somebody typed is shown as they typed it.
            problems += [f"{door}: {problem}" for problem in found if "shines" not in problem]
    assert not problems, "\n".join(problems[:30])


def _send(form: Found, values: Mapping[str, str], what: str) -> Found:
    """Send the form with these values. Returns the form for the next try, read again where this
    one was taken."""
    client = form.caller.client
    cookie = client.get_cookie("gatepost")
    answer = client.post(form.action, data={**form.data.to_dict(flat=False), **values})
    if cookie is not None and form.caller.who is Who.NOBODY:
        # Whoever accepts an invitation is signed in by it.
        client.set_cookie("gatepost", cookie.value)
    where = f"{form.caller.who}: {form.action}: {what}"
    assert answer.status_code < 500, f"{where}: {answer.status_code}: {answer.text[-300:]}"
    assert "<gp7x" not in answer.text and "9999999999997" not in answer.text, (
        f"{where} comes back as markup"
    )
    assert "X-Gp7" not in answer.headers, f"{where} comes back as a header"
    if answer.status_code != 303:
        return form
    again = [other for other in _on(form.caller, form.page) if other.action == form.action]
    return again[0] if again else form


def _forms(world: World) -> Iterator[Found]:
    """Every form that posts, once for each address, with sound values where it is empty."""
    seen: set[str] = set()
    for door, caller in _pages(world):
        for form in _on(caller, _address(world, door, caller)):
            # A form of one button holds nothing to fill in, and would delete what others need.
            if form.action not in seen and form.fields:
                seen.add(form.action)
                yield form


def _on(caller: Caller, page: str) -> list[Found]:
    """The forms of one page."""
    answer = caller.call("GET", page)
    if answer.mimetype != "text/html" or answer.status_code == 303:
        return []
    root = parse(answer).root
    return [
        Found(
            caller,
            page,
            urlsplit(urljoin(page, element.attrs.get("action") or page)).path,
            _filled(root, element),
        )
        for element in root.query('form[method="post"]')
    ]


def _filled(root: Element, element: Element) -> MultiDict[str, str]:
    form = PageForm(root, element, None)
    for control in element.query("input, select, textarea"):
        name = control.attrs.get("name") or ""
        if name and not form.data.get(name):
            form.data[name] = _SOUND.get(name, "")
    return form.data


def _pages(world: World) -> Iterator[tuple[Door, Caller]]:
    """Every page, as who runs the host or the organization, and as who is not signed in."""
    for door in all_doors(world.app):
        if not door.is_safe or door.is_api or door.endpoint in FRAMED:
            continue
        allowed = who_may.PAGES.get(door.endpoint, frozenset())
        for who in (Who.NOBODY, Who.ALICE, Who.RITA):
            if who in allowed:
                yield door, world.callers[who]
                break


def _address(world: World, door: Door, caller: Caller) -> str:
    return door.at(world, slug="acme", owner=owner_of(door, "acme", caller))
