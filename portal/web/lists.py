"""The state of a list stands in its address: its filters, and the place in its pages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request, url_for

from portal.web import arguments

# The place in the pages: what is older than `before`, or newer than `after`.
BEFORE, AFTER = "before", "after"


@dataclass(frozen=True)
class Filter:
    """One filter: its name in the address, its label, and how a value is shown as a tag."""

    name: str
    label: str
    show: Callable[[str], str] = str


@dataclass(frozen=True)
class ListState:
    """The filters of a list as they stand in this request's address."""

    filters: Sequence[Filter]

    @property
    def values(self) -> Mapping[str, str]:
        given = {one.name: arguments.text(one.name, longest=300) for one in self.filters}
        return {name: value for name, value in given.items() if value}

    @property
    def tags(self) -> list[tuple[str, str, str]]:
        """What the list is narrowed to: label, value, and the address without it."""
        values = self.values
        return [
            (one.label, one.show(values[one.name]), self.url(drop=(one.name,)))
            for one in self.filters
            if one.name in values
        ]

    @property
    def clear_url(self) -> str:
        return self.url(drop=tuple(one.name for one in self.filters))

    def url(self, *, drop: Sequence[str] = (), **more: Any) -> str:
        """This page's address with other values; the place in its pages is left out."""
        kept = {name: value for name, value in self.values.items() if name not in drop}
        return here(**kept, **{name: value for name, value in more.items() if value is not None})

    def newer_url(self, first: object) -> str | None:
        return self.url(after=first) if first else None

    def older_url(self, last: object) -> str | None:
        return self.url(before=last) if last else None


def here(**values: Any) -> str:
    """The address of this request's page with these arguments behind the question mark."""
    assert request.endpoint is not None
    place: dict[str, Any] = dict(request.view_args or {})
    if (organization := place.get("organization")) is not None:
        place["organization"] = organization.slug
    return url_for(request.endpoint, **place, **values)
