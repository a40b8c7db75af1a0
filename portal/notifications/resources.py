"""The thing that a notification is about: a name, a link and a type."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.validation import FieldError, Invalid, one_line, web_link


@dataclass(frozen=True)
class Resource:
    name: str | None = None
    url: str | None = None
    type: str | None = None


def parse(raw: Any) -> Resource:
    """A resource as the API takes it: null or {name, url?, type?}. Raises Invalid."""
    if raw is None:
        return Resource()
    if not isinstance(raw, Mapping):
        raise Invalid.field("resource", "Give an object with name and url.")
    if unknown := sorted(set(raw) - {"name", "url", "type"}):
        raise Invalid(
            FieldError(f"resource.{key}", "There is no such key; use name, url and type.")
            for key in unknown
        )
    name = _text("resource.name", raw.get("name"), 300)
    url = raw.get("url")
    if url in (None, ""):
        return Resource(name, None, _text("resource.type", raw.get("type"), 100))
    if not isinstance(url, str):
        raise Invalid.field("resource.url", "Give the link as text.")
    return Resource(
        name, web_link("resource.url", url), _text("resource.type", raw.get("type"), 100)
    )


def _text(field: str, raw: Any, longest: int) -> str | None:
    if raw is None:
        return None
    if not isinstance(raw, str):
        raise Invalid.field(field, "Give this as text.")
    return one_line(field, raw, longest=longest) or None
