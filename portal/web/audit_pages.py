"""What the audit pages have in common, at the host and in an organization."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import request, url_for
from flask_babel import gettext as _
from sqlalchemy import select

from portal.audit import search
from portal.audit.log import ActorType
from portal.audit.models import AuditEntry
from portal.extensions import db
from portal.identity import names
from portal.identity.models import Organization
from portal.settings.models import Sender
from portal.web import arguments, words

_FILTERS = ("action", "person", "from", "to")


@dataclass(frozen=True)
class Row:
    """One entry in words."""

    entry: AuditEntry
    actor: str
    what: str
    object: str
    changes: list[tuple[str, str, str]]


@dataclass(frozen=True)
class View:
    """Everything an audit page shows. `values` holds the filters as they stand in the address."""

    rows: list[Row]
    values: Mapping[str, str]
    actions: list[tuple[str, str]]
    tags: list[tuple[str, str, str]]
    clear_url: str
    newer_url: str | None
    older_url: str | None


def view(organization: Organization | None) -> View:
    """The page of the log that the address asks for."""
    organization_id = organization.id if organization else None
    found = search.search(
        organization_id,
        _filters(organization),
        after=arguments.row_id("before"),
        newer_than=arguments.row_id("after"),
    )
    known = search.actions(organization_id)
    return View(
        rows=_rows(found.items),
        values={name: arguments.text(name) for name in _FILTERS},
        actions=[("", _("All actions")), *((action, action_words(action)) for action in known)],
        tags=_tags(),
        clear_url=_url(drop=_FILTERS),
        newer_url=_url(after=str(found.newer)) if found.newer else None,
        older_url=_url(before=str(found.next)) if found.next else None,
    )


def word(slug: str) -> str:
    """The word for a kind of object or a field."""
    known = {
        "api_token": _("Token"),
        "slug": _("Short name"),
        "mail_settings": _("Mail settings"),
        "default_sender_id": _("Default sender"),
        "is_system_administrator": _("System administrator"),
    }
    return known.get(slug) or words.own_words(slug)


def action_words(action: str) -> str:
    """`member.added` as words."""
    return words.own_words(action)


def _filters(organization: Organization | None) -> search.Filters:
    person = arguments.text("person")
    called = None
    if person:
        called = (
            names.actors_called(person, organization)
            if organization
            else names.actors_called_anywhere(person)
        )
    return search.Filters(
        action=arguments.text("action") or None,
        actor_ids=called,
        since=arguments.start_of(arguments.day("from")),
        until=arguments.start_of(arguments.day("to"), days_later=1),
    )


def _rows(entries: list[AuditEntry]) -> list[Row]:
    people = names.of_users(_ids(entries, "user"))
    tokens = names.of_tokens(_ids(entries, "token") | _ids(entries, "api_token"))
    objects = {
        "user": people,
        "api_token": tokens,
        "organization": names.of_organizations(_ids(entries, "organization")),
        "sender": _senders(_ids(entries, "sender")),
    }
    return [
        Row(
            entry=entry,
            actor=_actor(entry, people, tokens),
            what=action_words(entry.action),
            object=_object(entry, objects),
            changes=_changes(entry.changes),
        )
        for entry in entries
    ]


def _ids(entries: list[AuditEntry], kind: str) -> set[str]:
    """The ids of that kind, as actor and as object."""
    actors = {entry.actor_id for entry in entries if entry.actor_type == kind}
    objects = {entry.object_id for entry in entries if entry.object_type == kind}
    return {found for found in actors | objects if found}


def _senders(ids: set[str]) -> dict[str, str]:
    wanted = [uuid.UUID(text) for text in ids if _is_uuid(text)]
    if not wanted:
        return {}
    found = db.session.execute(select(Sender.id, Sender.name).where(Sender.id.in_(wanted)))
    return {str(key): name for key, name in found}


def _is_uuid(text: str) -> bool:
    try:
        return bool(uuid.UUID(text))
    except ValueError:
        return False


def _actor(entry: AuditEntry, people: Mapping[str, str], tokens: Mapping[str, str]) -> str:
    known = entry.actor_id or ""
    if entry.actor_type == ActorType.USER:
        return people.get(known) or _("a person who was erased")
    if entry.actor_type == ActorType.TOKEN:
        return _("token %(name)s", name=tokens.get(known) or known)
    if entry.actor_type == ActorType.OPERATOR:
        return _("operator at the command line")
    return _("the portal")


def _object(entry: AuditEntry, objects: Mapping[str, Mapping[str, str]]) -> str:
    known = entry.object_id or ""
    named = objects.get(entry.object_type, {}).get(known)
    kind = word(entry.object_type)
    if named:
        return named if entry.object_type in ("user", "organization") else f"{kind} {named}"
    return kind


def _changes(changes: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Field, before, after, all as text."""
    shown = []
    for field, change in changes.items():
        values = change if isinstance(change, Mapping) else {"after": change}
        before, after = _text(values.get("before")), _text(values.get("after"))
        shown.append((word(field), before, after))
    return shown


def _text(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return str(value)


def _tags() -> list[tuple[str, str, str]]:
    labels = {"action": _("Action"), "person": _("Who"), "from": _("From"), "to": _("To")}
    tags = []
    for name in _FILTERS:
        if value := arguments.text(name):
            shown = action_words(value) if name == "action" else value
            tags.append((labels[name], shown, _url(drop=(name,))))
    return tags


def _url(*, drop: tuple[str, ...] = (), **more: str) -> str:
    """This page's address with other arguments; the place in the list is left out."""
    assert request.endpoint is not None
    kept = {name: value for name in _FILTERS if (value := arguments.text(name))}
    values = {name: value for name, value in kept.items() if name not in drop} | more
    place: dict[str, Any] = dict(request.view_args or {})
    if (organization := place.get("organization")) is not None:
        place["organization"] = organization.slug
    return url_for(request.endpoint, **(place | values))
