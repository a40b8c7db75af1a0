"""Pages obey a content security policy without inline script or style, and share one look."""

import re
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

TEMPLATES = ROOT / "templates"
# A mail client reads no stylesheet: letters carry their style inside.
PAGES = sorted(
    path for path in TEMPLATES.rglob("*.html") if path.relative_to(TEMPLATES).parts[0] != "mail"
)

INLINE = {
    "a script without src": re.compile(r"<script\b(?![^>]*\bsrc=)", re.I),
    "a style element": re.compile(r"<style\b", re.I),
    "a style attribute": re.compile(r"\sstyle\s*=", re.I),
    "an event handler attribute": re.compile(r"\son[a-z]+\s*=\s*[\"']", re.I),
    "a javascript: link": re.compile(r"javascript:", re.I),
    "something fetched from another host": re.compile(r"(?:src|action)=[\"'](?:https?:)?//", re.I),
    "unescaped output": re.compile(r"\|\s*safe\b|\{%-?\s*autoescape\s+false"),
}


def spelled(path: Path) -> str:
    return path.relative_to(TEMPLATES).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=spelled)
def test_a_page_has_nothing_inline(path: Path) -> None:
    text = _without_comments(path.read_text(encoding="utf-8"))
    found = [
        f"{spelled(path)}:{text.count(chr(10), 0, match.start()) + 1}: {what}"
        for what, pattern in INLINE.items()
        for match in pattern.finditer(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", PAGES, ids=spelled)
def test_a_page_extends_a_layout_or_is_a_part(path: Path) -> None:
    """A page without layout would stand outside the one look, its head and its policy."""
    text = path.read_text(encoding="utf-8")
    is_part = path.parent.name in ("layouts", "components") or path.name.startswith("_")
    assert is_part or re.search(r"{%-?\s*extends\s", text), (
        f"{spelled(path)} extends no layout; the name of a part starts with _"
    )


@pytest.mark.parametrize("path", PAGES, ids=spelled)
def test_every_posting_form_carries_the_token(path: Path) -> None:
    text = _without_comments(path.read_text(encoding="utf-8"))
    for match in re.finditer(r"<form\b(.*?)</form>", text, re.I | re.S):
        form = match.group(1)
        if re.search(r"method=[\"']post", form, re.I):
            assert "csrf" in form, f"{spelled(path)}: a form that posts without the CSRF token"


def _without_comments(text: str) -> str:
    """Comments blanked out, lines kept, so that line numbers stay true."""
    blank = re.compile(r"\{#.*?#\}|<!--.*?-->", re.S)
    return blank.sub(lambda match: "\n" * match.group().count("\n"), text)
