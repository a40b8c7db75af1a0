"""The logo of letters, of the host or of an organization."""

import base64
import binascii

from flask import abort
from pydantic import BaseModel, Field

from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.settings import effective, logos
from portal.settings.effective import Origin
from portal.settings.images import Format, Image
from portal.settings.scope import Scope
from portal.validation import Invalid
from portal.web import guard
from portal.web.api import documents, inputs
from portal.web.api.calls import call
from portal.web.api.inputs import Input
from portal.web.blueprints import api as blueprint
from portal.web.guard import requires


class LogoInput(Input):
    """A PNG or JPEG image of at most 200 KB, each side 16 to 1600 pixels, in base64."""

    content: str = Field(json_schema_extra={"contentEncoding": "base64"})


class LogoShape(BaseModel):
    """The logo that applies, whose it is, and its size in pixels."""

    origin: Origin
    format: Format
    width: int
    height: int
    sha256: str
    content: str = Field(json_schema_extra={"contentEncoding": "base64"})


@blueprint.get("/settings/logo")
@blueprint.get("/organizations/<slug:organization>/settings/logo")
@call(gives=LogoShape)
@requires(Permission.SETTINGS_READ, at_host=Permission.HOST_SETTINGS_READ)
def read_logo(organization: Organization | None) -> LogoShape:
    """The logo that applies; 404 where there is none."""
    return _shape(organization)


@blueprint.put("/settings/logo")
@blueprint.put("/organizations/<slug:organization>/settings/logo")
@call(takes=LogoInput, gives=LogoShape)
@requires(Permission.SETTINGS_CHANGE, at_host=Permission.HOST_SETTINGS_CHANGE)
def set_logo(organization: Organization | None) -> LogoShape:
    """Set the scope's own logo; letters carry it from the next message."""
    content = _decoded(inputs.body(LogoInput).content)
    actor = guard.principal().actor
    logos.save(Scope.of(organization), content, actor=actor, field="content")
    return _shape(organization)


@blueprint.delete("/settings/logo")
@blueprint.delete("/organizations/<slug:organization>/settings/logo")
@call(status=204)
@requires(Permission.SETTINGS_CHANGE, at_host=Permission.HOST_SETTINGS_CHANGE)
def remove_logo(organization: Organization | None) -> None:
    """Take the scope's own logo away; an organization inherits the host's again."""
    documents.document()  # nothing is to be sent, and what cannot be read is refused
    logos.remove(Scope.of(organization), actor=guard.principal().actor)


def _shape(organization: Organization | None) -> LogoShape:
    found = effective.identity(organization)["logo"]
    image = Image.named(found.value) if found.value else None
    content = logos.content_of(Scope.of(organization), image) if image else None
    if image is None or content is None:
        abort(404)
    return LogoShape(
        origin=found.origin,
        format=image.format,
        width=image.width,
        height=image.height,
        sha256=image.sha256,
        content=base64.b64encode(content).decode("ascii"),
    )


def _decoded(content: str) -> bytes:
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Invalid.field("content", "Give the bytes of the image in base64.") from None
