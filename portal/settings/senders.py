"""Saving and removing senders: versions, activation, and the rule that binds a secret."""

import dataclasses
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from portal import jobs
from portal.audit import log as audit
from portal.audit.log import Actor
from portal.clock import new_id, utcnow
from portal.extensions import db
from portal.settings import binding, changes, effective, locks, own_fields, passes, sender_rules
from portal.settings.binding import Part
from portal.settings.candidates import (
    Candidate,
    Clear,
    Keep,
    Replace,
    SecretChange,
    candidate,
    shown_version,
)
from portal.settings.models import Sender, SenderVersion, VersionState
from portal.settings.scope import Scope
from portal.settings.sender_rules import SenderValues
from portal.validation import FieldError, Invalid, Stale, one_line

__all__ = ["Candidate", "Clear", "Keep", "Replace", "SecretChange", "candidate", "shown_version"]


@dataclass(frozen=True)
class Saved:
    sender: Sender
    version: SenderVersion
    changed: bool


def all_of(scope: Scope) -> list[Sender]:
    """The scope's senders by priority, then name."""
    return list(
        db.session.scalars(
            select(Sender).where(Sender.scope == scope.key).order_by(Sender.priority, Sender.name)
        )
    )


def find(scope: Scope, name: str) -> Sender | None:
    return db.session.scalar(select(Sender).where(Sender.scope == scope.key, Sender.name == name))


def get(scope: Scope, sender_id: uuid.UUID) -> Sender | None:
    """A sender of this scope; another scope's answers like one that is not there."""
    return db.session.scalar(
        select(Sender).where(Sender.scope == scope.key, Sender.id == sender_id)
    )


def has_draft(sender: Sender) -> bool:
    """Whether values wait for their test."""
    return effective.version_of(sender, VersionState.DRAFT) is not None


def has_active(sender: Sender) -> bool:
    """Whether a version of it sends, also while a draft waits; a disabled one has one too."""
    return effective.version_of(sender, VersionState.ACTIVE) is not None


def save(
    scope: Scope,
    name: str,
    raw: Mapping[str, Any],
    *,
    secret: SecretChange,
    actor: Actor,
    sender: Sender | None = None,
    activate: bool | None = None,
    revision: int | None = None,
    new_sender_id: uuid.UUID | None = None,
) -> Saved:
    """Create a sender, or write a new version of one.

    `new_sender_id` gives a new sender this id, so that a form that is posted twice is known.

    The version is active when its bundle passed a test in the last 30 minutes, when nothing that
    needs a test changed, or when the host's side says `activate`; else it is a draft and the
    active version, if any, sends on. `activate` False makes a draft of other values. Raises
    Invalid, also where the host forbids own senders, and Stale.
    """
    if activate and not actor.is_host:
        raise Invalid.field(
            "active", "Only a system administrator may activate an untested sender."
        )
    if sender is not None:
        _lock(sender, revision)
    else:
        locks.check_own_senders(scope)
    checked, own = _checked(scope, sender, name, raw, secret, actor)
    before = shown_version(sender) if sender else None
    sender = sender or _new_sender(scope, name, new_sender_id or new_id())
    renamed = _rename(scope, sender, name)
    differs = own_fields.assign(sender, own)
    if activate is False and before is not None and _is_same(before, checked, VersionState.ACTIVE):
        raise active_already()
    state, tested_at, certificate = _state_for(scope, sender, checked, activate)
    if before is not None and _is_same(before, checked, state) and not renamed and not differs:
        return Saved(sender, before, False)
    locks.check_own_senders(scope)
    version = _write_version(scope, sender, checked, state, before)
    version.tested_at, version.certificate_expires_at = tested_at, certificate
    _become(sender, version)
    _record(scope, sender, before, version, checked, actor, differs)
    db.session.flush()
    return Saved(sender, version, True)


def active_already() -> Invalid:
    """A draft of what is active would change nothing: mail would go on by it."""
    return Invalid.field("active", "This sender is active. Switch it off with enabled: false.")


def activate(scope: Scope, sender: Sender, *, actor: Actor) -> None:
    """Make the draft active: for a system administrator, or after a passed test."""
    draft = effective.version_of(sender, VersionState.DRAFT)
    if draft is None:
        return
    locks.check_sending(scope, draft)
    values, secret = effective.values_of(draft), passes.secret_of(scope, sender, draft)
    passed = passes.newest(scope, values, secret, draft.refresh_token_given)
    if passed is None and not actor.is_host:
        raise Invalid.field(
            "active", "Send a test mail first; only a system administrator may skip the test."
        )
    if passed is not None:
        draft.tested_at = utcnow()
        draft.certificate_expires_at = passed.certificate_expires_at
    draft.state = VersionState.ACTIVE
    sender.revision += 1
    _become(sender, draft)
    _tell(scope, sender, "sender.activated", actor, {})


def switch(scope: Scope, sender: Sender, *, enabled: bool, actor: Actor) -> None:
    """Disable a sender, or enable it again. A disabled default counts as not configured."""
    if sender.enabled == enabled:
        return
    if enabled:
        locks.check_sending(scope, effective.version_of(sender, VersionState.ACTIVE))
    sender.enabled = enabled
    sender.revision += 1
    change = {"enabled": {"before": not enabled, "after": enabled}}
    _tell(scope, sender, "sender.changed", actor, change)


def delete(scope: Scope, sender: Sender, *, actor: Actor) -> None:
    """Delete a sender and its secret. Was it the default, the scope is then not configured."""
    settings = changes.locked(scope)
    if settings.default_sender_id == sender.id:
        settings.default_sender_id = None
        settings.revision += 1
    _tell(scope, sender, "sender.deleted", actor, {"name": {"before": sender.name, "after": None}})
    db.session.flush()
    db.session.delete(sender)
    # At once, so that the name is free in this transaction.
    db.session.flush()


def remember_pass(
    scope: Scope, checked: Candidate, *, certificate_expires_at: datetime | None = None
) -> None:
    """Note that this very bundle got the server's final 250, and the end of its certificate."""
    passes.remember(
        scope,
        checked.values,
        checked.secret,
        checked.given_token,
        certificate_expires_at=certificate_expires_at,
    )


def note_pass(sender: Sender, *, certificate_expires_at: datetime | None) -> None:
    """The version that sends has just passed its test as it is stored."""
    active = effective.version_of(sender, VersionState.ACTIVE)
    if active is not None:
        active.tested_at, active.certificate_expires_at = utcnow(), certificate_expires_at


def _checked(
    scope: Scope,
    sender: Sender | None,
    name: str,
    raw: Mapping[str, Any],
    secret: SecretChange,
    actor: Actor,
) -> tuple[Candidate, dict[str, Any]]:
    """Name and values judged together, so that every refusal is told at once."""
    errors: list[FieldError] = []
    own: dict[str, Any] = {}
    try:
        _name(name, sender)
    except Invalid as refused:
        errors += refused.errors
    try:
        own = own_fields.parse_for(scope, raw)
    except Invalid as refused:
        errors += refused.errors
    try:
        checked = candidate(scope, sender, raw, secret=secret, actor=actor)
    except Invalid as refused:
        raise Invalid([*errors, *refused.errors]) from None
    if errors:
        raise Invalid(errors)
    return checked, own


def _lock(sender: Sender, revision: int | None) -> None:
    """Raises Stale where the sender was changed or deleted since it was read."""
    statement = select(Sender).where(Sender.id == sender.id).with_for_update()
    locked = db.session.scalar(statement.execution_options(populate_existing=True))
    if locked is None or (revision is not None and revision != locked.revision):
        raise Stale


def _new_sender(scope: Scope, name: str, sender_id: uuid.UUID) -> Sender:
    sender = Sender(id=sender_id, organization_id=scope.organization_id, scope=scope.key)
    sender.name, sender.revision = _name(name, None), 0
    try:
        with db.session.begin_nested():
            db.session.add(sender)
    except IntegrityError:
        raise _taken(name) from None
    settings = changes.locked(scope)
    others = select(func.count()).where(Sender.scope == scope.key, Sender.id != sender.id)
    if settings.default_sender_id is None and db.session.scalar(others) == 0:
        settings.default_sender_id = sender.id
    return sender


def _name(name: str, sender: Sender | None) -> str:
    """It stands in URLs and in names of files; one that a sender has already is kept."""
    text = one_line("name", name, longest=100)
    if sender is not None and text == sender.name:
        return text
    if not text or "/" in text:
        raise Invalid.field("name", "Name this sender, for example main, without a slash.")
    if not any(character.isalnum() for character in text):
        message = "Name this sender with a letter or a digit at least, for example main."
        raise Invalid.field("name", message)
    return text


def _rename(scope: Scope, sender: Sender, name: str) -> bool:
    wanted = _name(name, sender)
    if wanted == sender.name:
        return False
    if find(scope, wanted) is not None:
        raise _taken(wanted)
    try:
        with db.session.begin_nested():
            sender.name = wanted
            db.session.flush()
    except IntegrityError:
        raise _taken(wanted) from None
    return True


def _taken(name: str) -> Invalid:
    return Invalid.field("name", f"There is a sender named {name} already; choose another name.")


def _state_for(
    scope: Scope, sender: Sender, checked: Candidate, activate: bool | None
) -> tuple[VersionState, datetime | None, datetime | None]:
    """The state of the new version, when what matters of its bundle passed a test, and the end of
    the certificate that was seen then."""
    active = effective.version_of(sender, VersionState.ACTIVE)
    proven = active is not None and passes.is_proven(
        scope,
        sender,
        active,
        values=checked.values,
        secret=checked.secret,
        given_token=checked.given_token,
    )
    tested_at = certificate = None
    if active is not None and proven:
        tested_at, certificate = active.tested_at, active.certificate_expires_at
    passed = passes.newest(scope, checked.values, checked.secret, checked.given_token)
    if passed is not None:
        tested_at, certificate = utcnow(), passed.certificate_expires_at
    if activate is None:
        activate = passed is not None or proven
    return (VersionState.ACTIVE if activate else VersionState.DRAFT), tested_at, certificate


def _is_same(before: SenderVersion, checked: Candidate, state: VersionState) -> bool:
    same_secret = not isinstance(checked.secret_change, Replace)
    if isinstance(checked.secret_change, Clear):
        same_secret = before.secret is None
    return same_secret and before.state is state and effective.values_of(before) == checked.values


def _write_version(
    scope: Scope,
    sender: Sender,
    checked: Candidate,
    state: VersionState,
    before: SenderVersion | None,
) -> SenderVersion:
    def sealed(secret: str | None, part: Part) -> str | None:
        if not secret:
            return None
        return binding.seal(
            secret, scope=scope, sender_id=sender.id, values=checked.values, part=part
        )

    has_one = bool(checked.secret or checked.refresh_token)
    kept = isinstance(checked.secret_change, Keep) and before is not None
    sender.revision += 1
    version = SenderVersion(
        organization_id=scope.organization_id,
        number=sender.revision,
        state=state,
        secret=sealed(checked.secret, Part.SECRET),
        refresh_token=sealed(checked.refresh_token, Part.REFRESH_TOKEN),
        refresh_token_given=checked.given_token,
        secret_set_at=(before.secret_set_at if kept and before else utcnow()) if has_one else None,
        **{key: getattr(checked.values, key) for key in sender_rules.VALUE_KEYS},
    )
    sender.versions.append(version)
    return version


def _become(sender: Sender, version: SenderVersion) -> None:
    """At most one draft and one active version; an older active one is retired. What the sender's
    failures say holds until another way is taken."""
    active = [one for one in sender.versions if one.state is VersionState.ACTIVE]
    is_same_way = any(passes.go_the_same_way(one, version) for one in active if one is not version)
    for other in list(sender.versions):
        if other is version:
            continue
        if other.state is VersionState.DRAFT:
            sender.versions.remove(other)
        elif version.state is VersionState.ACTIVE and other.state is VersionState.ACTIVE:
            other.state = VersionState.RETIRED
            # A retired version is history; its secret is not needed any more.
            other.secret = other.refresh_token = None
    if version.state is VersionState.ACTIVE and not is_same_way:
        sender.consecutive_failures = 0
        sender.last_failure_cause = None
        sender.next_probe_at = None


def _record(
    scope: Scope,
    sender: Sender,
    before: SenderVersion | None,
    version: SenderVersion,
    checked: Candidate,
    actor: Actor,
    own: dict[str, dict[str, Any]],
) -> None:
    old = _plain(effective.values_of(before)) if before else {}
    difference = audit.difference(old, _plain(checked.values)) | own
    if isinstance(checked.secret_change, Replace):
        done = "replaced" if before and before.secret_set_at else "set"
        difference["secret"] = {"after": done}
    elif isinstance(checked.secret_change, Clear) and before and before.secret_set_at:
        difference["secret"] = {"after": "cleared"}
    difference["state"] = {"before": before and before.state, "after": version.state}
    _tell(scope, sender, "sender.changed" if before else "sender.created", actor, difference)


def _plain(values: SenderValues) -> dict[str, Any]:
    """As the log keeps them: times as text."""
    return {
        key: value.isoformat() if isinstance(value, datetime) else value
        for key, value in dataclasses.asdict(values).items()
    }


def _tell(
    scope: Scope, sender: Sender, action: str, actor: Actor, difference: Mapping[str, Any]
) -> None:
    audit.record(
        actor,
        action,
        organization_id=scope.organization_id,
        object_type="sender",
        object_id=sender.id,
        changes=difference,
    )
    jobs.emit("sender_changed", organization_id=scope.organization_id)
