"""Senders of the host or of an organization."""

from flask import abort

from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.settings import senders
from portal.settings.models import Sender, VersionState
from portal.settings.scope import Scope
from portal.validation import Invalid
from portal.web import guard
from portal.web.api import inputs
from portal.web.api.calls import call
from portal.web.api.sender_shapes import NewSender, SenderChange, SenderList, SenderShape
from portal.web.blueprints import api as blueprint
from portal.web.guard import requires


@blueprint.get("/senders")
@blueprint.get("/organizations/<slug:organization>/senders")
@call(gives=SenderList)
@requires(Permission.SETTINGS_READ, at_host=Permission.HOST_SETTINGS_READ)
def list_senders(organization: Organization | None) -> SenderList:
    """All senders of the scope, by priority and name."""
    found = senders.all_of(Scope.of(organization))
    return SenderList(items=[SenderShape.of(sender) for sender in found], next=None)


@blueprint.post("/senders")
@blueprint.post("/organizations/<slug:organization>/senders")
@call(takes=NewSender, gives=SenderShape, status=201)
@requires(Permission.SETTINGS_CHANGE, at_host=Permission.HOST_SETTINGS_CHANGE)
def create_sender(organization: Organization | None) -> SenderShape:
    """Create a sender. It is active once its values have passed their test."""
    given = inputs.body(NewSender)
    return _saved(organization, None, given, name=given.name)


@blueprint.get("/senders/<name:sender>")
@blueprint.get("/organizations/<slug:organization>/senders/<name:sender>")
@call(gives=SenderShape)
@requires(Permission.SETTINGS_READ, at_host=Permission.HOST_SETTINGS_READ)
def read_sender(organization: Organization | None, sender: str) -> SenderShape:
    """One sender, without its secret."""
    return SenderShape.of(find(organization, sender))


@blueprint.patch("/senders/<name:sender>")
@blueprint.patch("/organizations/<slug:organization>/senders/<name:sender>")
@call(takes=SenderChange, gives=SenderShape)
@requires(Permission.SETTINGS_CHANGE, at_host=Permission.HOST_SETTINGS_CHANGE)
def change_sender(organization: Organization | None, sender: str) -> SenderShape:
    """Change the keys that are given. Another destination needs the secret again."""
    given = inputs.body(SenderChange)
    found = find(organization, sender)
    return _saved(organization, found, given, name=given.name or found.name)


@blueprint.delete("/senders/<name:sender>")
@blueprint.delete("/organizations/<slug:organization>/senders/<name:sender>")
@call(status=204)
@requires(Permission.SETTINGS_CHANGE, at_host=Permission.HOST_SETTINGS_CHANGE)
def delete_sender(organization: Organization | None, sender: str) -> None:
    """Delete a sender and its secret; without its default the scope is not configured."""
    found = find(organization, sender)
    senders.delete(Scope.of(organization), found, actor=guard.principal().actor)


def find(organization: Organization | None, name: str) -> Sender:
    """The sender of this scope; 404 where there is none."""
    # A name that no sender can have must not reach a database that refuses its characters.
    found = senders.find(Scope.of(organization), name) if name.isprintable() else None
    return found or abort(404)


def _saved(
    organization: Organization | None, sender: Sender | None, given: SenderChange, *, name: str
) -> SenderShape:
    scope = Scope.of(organization)
    # To switch one off must not depend on what its stored values are worth today.
    if sender is None or given.model_fields_set != {"enabled"}:
        sender = _stored(scope, sender, given, name)
    if given.enabled is not None:
        senders.switch(scope, sender, enabled=given.enabled, actor=guard.principal().actor)
    return SenderShape.of(sender)


def _stored(scope: Scope, sender: Sender | None, given: SenderChange, name: str) -> Sender:
    actor = guard.principal().actor
    wants_active = given.active is True
    saved = senders.save(
        scope,
        name,
        given.values(),
        secret=given.secret_change(),
        actor=actor,
        sender=sender,
        # Asked for by an organization, a pass is what activates.
        activate=None if wants_active and not actor.is_host else given.active,
    )
    if wants_active and saved.version.state is not VersionState.ACTIVE:
        raise Invalid.field(
            "active", "Send a test mail with these values first; only a host token may skip it."
        )
    if given.active is False and not saved.changed and senders.has_active(saved.sender):
        raise senders.active_already()
    return saved.sender
