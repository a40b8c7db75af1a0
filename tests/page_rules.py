"""What holds for every page. Each rule yields a sentence for each place that breaks it."""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

from flask import Flask
from justhtml import Element, JustHTML
from justhtml.dom import Template
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import RequestRedirect
from werkzeug.test import TestResponse

Rule = Callable[[JustHTML], Iterator[str]]

_UNLABELLED_TYPES = {"hidden", "submit", "button", "reset", "image"}
# What leads somewhere, and by which attribute.
_LEADING = {"a": "href", "link": "href", "script": "src", "img": "src", "form": "action"}
_REFERENCES = ("for", "aria-labelledby", "aria-describedby", "aria-controls", "form", "list")


def broken(app: Flask, response: TestResponse, document: JustHTML) -> list[str]:
    """Every rule that a page breaks, in words; an empty list for a sound page."""
    found = [f"not valid HTML: {error}" for error in document.errors]
    found += [problem for rule in _RULES for problem in rule(document)]
    found += _bad_headers(response)
    found += _dead_ends(app, response.request.path, document)
    return found


def parse(response: TestResponse) -> JustHTML:
    """The document as it was sent, with the errors of the HTML standard's parser."""
    return JustHTML(response.text, collect_errors=True, sanitize=False, track_node_locations=True)


def text_of(element: Element) -> str:
    """The text of an element on one line."""
    return " ".join(element.to_text().split())


def _has_a_frame(document: JustHTML) -> Iterator[str]:
    if not any(html.attrs.get("lang") for html in elements(document, "html")):
        yield "<html> has no lang"
    titles = [text_of(title) for title in document.query("head title")]
    if len(titles) != 1 or not titles[0]:
        yield f"one <title> with text is wanted, found {titles}"
    if not any(meta.attrs.get("name") == "viewport" for meta in elements(document, "meta")):
        yield "no viewport: a phone would show the wide page"
    if len(elements(document, "main")) != 1:
        yield "one <main> is wanted"


def _has_one_heading(document: JustHTML) -> Iterator[str]:
    headings = [text_of(heading) for heading in elements(document, "h1")]
    if len(headings) != 1 or not headings[0]:
        yield f"one <h1> with text is wanted, found {headings}"


def _labels_every_control(document: JustHTML) -> Iterator[str]:
    labels = elements(document, "label")
    labelled = {label.attrs.get("for") for label in labels if text_of(label)}
    wrapped = {id(inner) for label in labels for inner in controls(label)}
    for control in controls(document):
        named = control.attrs.get("aria-label") or control.attrs.get("aria-labelledby")
        if not (named or control.attrs.get("id") in labelled or id(control) in wrapped):
            yield f"no label: {spelled(control)}"
    for button in elements(document, "button", "a"):
        if button.name == "a" and "href" not in button.attrs:
            continue
        pictures = " ".join(image.attrs.get("alt") or "" for image in elements(button, "img"))
        if not (text_of(button) or button.attrs.get("aria-label") or pictures.strip()):
            yield f"no text: {spelled(button)}"


def _writes_forms_out(document: JustHTML) -> Iterator[str]:
    for form in elements(document, "form"):
        method = (form.attrs.get("method") or "").lower()
        if method not in ("get", "post", "dialog"):
            yield f"no method: {spelled(form)}"
        if form.attrs.get("action") == "":
            yield f"an empty action; leave it out to post to the page itself: {spelled(form)}"
        inputs = elements(form, "input")
        tokens = [i.attrs.get("value") for i in inputs if i.attrs.get("name") == "csrf_token"]
        if method == "post" and (len(tokens) != 1 or not tokens[0]):
            yield f"one CSRF token is wanted: {spelled(form)}"
        if method == "get" and tokens:
            yield f"a CSRF token would stand in the address: {spelled(form)}"


def _uses_each_id_once(document: JustHTML) -> Iterator[str]:
    everything = elements(document)
    ids = [element.attrs["id"] for element in everything if "id" in element.attrs]
    for name in sorted({name for name in ids if ids.count(name) > 1}, key=str):
        yield f"id {name!r} stands more than once"
    for element, attribute in itertools.product(everything, _REFERENCES):
        for name in (element.attrs.get(attribute) or "").split():
            if name not in ids:
                yield f"{attribute}={name!r} names no element: {spelled(element)}"
    for link in elements(document, "a"):
        target = link.attrs.get("href") or ""
        if target.startswith("#") and target.removeprefix("#") not in ids:
            yield f"leads nowhere: {spelled(link)}"


def _has_nothing_inline(document: JustHTML) -> Iterator[str]:
    for element in elements(document):
        is_script = element.name == "script" and "src" not in element.attrs
        if is_script or element.name == "style" or "style" in element.attrs:
            yield f"inline, the content security policy drops it: {spelled(element)}"
        if any(name.startswith("on") for name in element.attrs):
            yield f"an event handler in an attribute: {spelled(element)}"


def _describes_pictures(document: JustHTML) -> Iterator[str]:
    for image in elements(document, "img"):
        if "alt" not in image.attrs:
            yield f"no alt: {spelled(image)}"


def _uses_our_words(document: JustHTML) -> Iterator[str]:
    text = " ".join(text_of(body) for body in elements(document, "body"))
    for word in re.findall(r"\b(?:please|delivered)\b", text, re.I):
        yield f"a word we do not use: {word}"
    for leak in re.findall(r"(?:<[\w.]+ object at 0x|\{\{|\{%|%\()[^ ]*", text):
        yield f"code shines through: {leak}"


_RULES: tuple[Rule, ...] = (
    _has_a_frame,
    _has_one_heading,
    _labels_every_control,
    _writes_forms_out,
    _uses_each_id_once,
    _has_nothing_inline,
    _describes_pictures,
    _uses_our_words,
)


def _bad_headers(response: TestResponse) -> Iterator[str]:
    policy = response.headers.get("Content-Security-Policy", "")
    if "default-src" not in policy or "unsafe" in policy:
        yield f"Content-Security-Policy is {policy!r}"
    if response.headers.get("X-Content-Type-Options") != "nosniff":
        yield "X-Content-Type-Options is not nosniff"
    if "no-store" not in response.headers.get("Cache-Control", ""):
        yield "a page with data may be kept by a cache: Cache-Control lacks no-store"


def _dead_ends(app: Flask, here: str, document: JustHTML) -> Iterator[str]:
    """Links, forms and files of this site that no route answers."""
    for element in elements(document, *_LEADING):
        leading = _LEADING[element.name]
        # A form without action posts to its own page.
        if element.name != "form" and leading not in element.attrs:
            continue
        target = urlsplit(urljoin(here, element.attrs.get(leading) or here))
        is_ours = not target.scheme and not target.netloc
        if is_ours and (problem := _unanswered(app, target.path, _method(element))):
            yield f"{problem}: {spelled(element)}"


def _unanswered(app: Flask, path: str, method: str) -> str | None:
    try:
        endpoint, arguments = app.url_map.bind("").match(path, method)
    except RequestRedirect:
        return f"{path} is answered with a redirect; write the final address"
    except NotFound:
        return f"no route answers {path}"
    except HTTPException:
        return f"the route of {path} does not answer {method}"
    if endpoint == "static":
        file = f"{app.static_folder}/{arguments['filename']}"
        return None if _exists(file) else f"{path} is not in static/"
    return None


def _exists(file: str) -> bool:
    try:
        with open(file, "rb"):
            return True
    except OSError:
        return False


def _method(element: Element) -> str:
    return (element.attrs.get("method") or "get").upper() if element.name == "form" else "GET"


def controls(container: JustHTML | Element) -> list[Element]:
    """The controls of a form that a person fills in."""
    return [
        control
        for control in elements(container, "input", "select", "textarea")
        if (control.attrs.get("type") or "text").lower() not in _UNLABELLED_TYPES
    ]


def elements(container: JustHTML | Element, *names: str) -> list[Element]:
    """All that lies below, or what has one of these names, in the order of the document.

    Every page of every test is asked some twenty times: a selector would take ten times as long.
    """
    found = []
    waiting: list[Any] = [container.root if isinstance(container, JustHTML) else container]
    while waiting:
        node = waiting.pop()
        if (
            isinstance(node, Element)
            and node is not container
            and (not names or node.name in names)
        ):
            found.append(node)
        if isinstance(node, Template) and node.template_content:
            waiting.append(node.template_content)
        waiting.extend(reversed(getattr(node, "children", None) or ()))
    return found


def spelled(element: Element) -> str:
    """The opening tag, for messages."""
    attributes = "".join(f' {name}="{value}"' for name, value in element.attrs.items())
    return f"<{element.name}{attributes}> (line {element.origin_line})"
