"""The logo of a scope: an organization without one inherits the host's.

`mail_settings.logo` holds its name (see `portal.settings.images`), so that what lists or compares
settings never loads the image itself.
"""

from sqlalchemy import select

from portal import jobs
from portal.audit import log as audit
from portal.audit.log import Actor
from portal.extensions import db
from portal.settings import changes, images
from portal.settings.images import Image
from portal.settings.models import Logo
from portal.settings.scope import HOST, Scope


def save(scope: Scope, content: bytes, *, actor: Actor, field: str = "logo") -> bool:
    """Set the scope's logo. Returns whether it is another than before. Raises Invalid, which names
    `field`, for what is no PNG or JPEG image of a sound size."""
    image = images.checked(field, content)
    if not _change(scope, image.name, actor):
        return False
    row = db.session.scalar(select(Logo).where(Logo.scope == scope.key))
    if row is None:
        row = Logo(scope=scope.key, organization_id=scope.organization_id)
        db.session.add(row)
    row.name, row.content = image.name, content
    db.session.flush()
    return True


def remove(scope: Scope, *, actor: Actor) -> bool:
    """Take the scope's own logo away; an organization inherits the host's again. Returns whether
    there was one."""
    if not _change(scope, None, actor):
        return False
    row = db.session.scalar(select(Logo).where(Logo.scope == scope.key))
    if row is not None:
        db.session.delete(row)
        db.session.flush()
    return True


def content_of(scope: Scope, image: Image) -> bytes | None:
    """The bytes of a logo that applies to the scope; None once it was replaced or removed."""
    # One's own and the host's may be the same image.
    return db.session.scalar(
        select(Logo.content)
        .where(Logo.scope.in_((scope.key, HOST.key)), Logo.name == image.name)
        .limit(1)
    )


def _change(scope: Scope, name: str | None, actor: Actor) -> bool:
    settings = changes.locked(scope)
    difference = audit.difference({"logo": settings.logo}, {"logo": name})
    if not difference:
        return False
    settings.logo = name
    settings.revision += 1
    audit.record(
        actor,
        "mail_settings.changed",
        organization_id=scope.organization_id,
        object_type="mail_settings",
        object_id=scope.key,
        changes=difference,
    )
    jobs.emit("sender_changed", organization_id=scope.organization_id)
    return True
