"""The page object finds what is wrong with a page; otherwise its checks would prove nothing."""

import pytest
from flask import Flask, Response
from justhtml import JustHTML

from tests.page_form import find_form
from tests.page_rules import broken, parse

SOUND = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Senders</title></head><body><main><h1>Senders</h1>
<form method="post"><input type="hidden" name="csrf_token" value="abc">
<label for="name">Name <span class="gp-optional">optional</span></label>
<input id="name" name="name" value="main">
<label><input type="checkbox" name="verify" checked> Verify</label>
<select name="encryption" aria-label="Encryption"><option value="none">None</option>
<option value="tls" selected>SSL/TLS</option></select>
<label for="note">Note</label><textarea id="note" name="note">
one
two</textarea>
<button name="act" value="save">Save</button><button name="act" value="test">Test</button></form>
<p><a href="/page">All senders</a></p></main></body></html>"""


def app_with(html: str) -> Flask:
    app = Flask("page")

    @app.route("/page", methods=["GET", "POST"])
    def page() -> Response:
        response = Response(html, mimetype="text/html")
        response.headers["Content-Security-Policy"] = "default-src 'none'"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response

    return app


def problems(html: str) -> str:
    app = app_with(html)
    response = app.test_client().get("/page")
    return "\n".join(broken(app, response, parse(response)))


def test_a_sound_page_has_no_problem() -> None:
    assert problems(SOUND) == ""


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("<p><a", "<p><div></div><a", "not valid HTML"),
        ('lang="en"', "", "no lang"),
        ("<title>Senders</title>", "<title></title>", "one <title>"),
        ('<meta name="viewport" content="width=device-width">', "", "no viewport"),
        ("<h1>Senders</h1>", "<h1>Senders</h1><h1>Again</h1>", "one <h1>"),
        ('<label for="name">', '<label for="note">', "no label"),
        ("</form>", "<button></button></form>", "no text"),
        ('method="post"', "", "no method"),
        ('value="abc"', 'value=""', "one CSRF token"),
        ('method="post"', 'method="get"', "stand in the address"),
        ('method="post"', 'method="post" action=""', "an empty action"),
        ('id="note"', 'id="name"', "stands more than once"),
        ("<h1>", '<h1 aria-describedby="gone">', "names no element"),
        ('href="/page"', 'href="#gone"', "leads nowhere"),
        ("<h1>", '<h1 style="color: red">', "inline"),
        ("</main>", "<script>1</script></main>", "inline"),
        ("<h1>", '<h1 onclick="go()">', "event handler"),
        ("<h1>", '<img src="https://other.example/x.png"><h1>', "no alt"),
        ("All senders", "Delivered", "a word we do not use"),
        ("All senders", "{{ name }}", "code shines through"),
        ('href="/page"', 'href="/elsewhere"', "no route answers /elsewhere"),
        ('method="post"', 'method="post" action="/static/x.css"', "does not answer POST"),
        ('href="/page"', 'href="/static/gone.css"', "not in static/"),
    ],
)
def test_a_broken_page_is_told_what_is_wrong(old: str, new: str, complaint: str) -> None:
    assert old in SOUND
    assert complaint in problems(SOUND.replace(old, new, 1))


def test_a_page_without_its_headers_is_told_so() -> None:
    app = app_with(SOUND)
    response = app.test_client().get("/page")
    response.headers.clear()
    found = "\n".join(broken(app, response, parse(response)))
    assert "Content-Security-Policy" in found
    assert "Cache-Control" in found


def test_a_form_sends_what_a_browser_would() -> None:
    form = find_form(JustHTML(SOUND, sanitize=False).root, "Save", where="here")
    assert form.data.to_dict(flat=False) == {
        "csrf_token": ["abc"],
        "name": ["main"],
        "verify": ["on"],
        "encryption": ["tls"],
        "note": ["one\r\ntwo"],
        "act": ["save"],
    }


def test_a_form_is_filled_by_label_or_name() -> None:
    form = find_form(JustHTML(SOUND, sanitize=False).root, "Test", where="here")
    form.fill({"Name": "second", "verify": False, "Encryption": "None", "Note": "a\nb"})
    assert form.data.to_dict(flat=False) == {
        "csrf_token": ["abc"],
        "name": ["second"],
        "verify": [],
        "encryption": ["none"],
        "note": ["a\r\nb"],
        "act": ["test"],
    }


@pytest.mark.parametrize(
    "values", [{"Nome": "x"}, {"Encryption": "ssl3"}, {"Name": True}, {"csrf_token": "forged"}]
)
def test_a_form_refuses_what_a_person_could_not_enter(values: dict[str, str]) -> None:
    form = find_form(JustHTML(SOUND, sanitize=False).root, "Save", where="here")
    with pytest.raises(AssertionError):
        form.fill(values)


def test_a_button_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(AssertionError, match=r"no button 'Delete'; there are \['Save', 'Test'"):
        find_form(JustHTML(SOUND, sanitize=False).root, "Delete", where="here")
