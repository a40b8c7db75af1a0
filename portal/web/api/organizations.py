"""Organizations, for host tokens."""

from typing import Annotated, Literal

from pydantic import Field

from portal.audit.log import Actor
from portal.identity import organizations
from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.validation import Invalid
from portal.web import guard
from portal.web.api import inputs
from portal.web.api.calls import call
from portal.web.api.inputs import Input
from portal.web.api.pages import PageQuery, cursor
from portal.web.api.shapes import OrganizationList, OrganizationShape
from portal.web.blueprints import api as blueprint
from portal.web.guard import requires


class OrganizationQuery(PageQuery):
    """`q` is any part of the name or the short name."""

    q: Annotated[str, Field(max_length=200)] = ""


class OrganizationInput(Input):
    """Without `slug` it is made of the name."""

    name: str
    slug: str | None = None


class OrganizationChange(Input):
    """`suspended` holds the organization's mail, but for security mail, until it is `active`."""

    name: str | None = None
    state: Literal["active", "suspended"] | None = None


@blueprint.get("/organizations")
@call(query=OrganizationQuery, gives=OrganizationList)
@requires(Permission.HOST_ORGANIZATIONS_READ)
def list_organizations() -> OrganizationList:
    """Organizations by name; deleted ones are left out."""
    wanted = inputs.query(OrganizationQuery)
    page = organizations.search(text=wanted.q, after=wanted.after, limit=wanted.limit)
    items = [OrganizationShape.of(row.organization, members=row.members) for row in page.rows]
    return OrganizationList(items=items, next=cursor(page.next))


@blueprint.post("/organizations")
@call(takes=OrganizationInput, gives=OrganizationShape, status=201)
@requires(Permission.HOST_ORGANIZATIONS_CHANGE)
def create_organization() -> OrganizationShape:
    """Create an organization. It keeps the platform's mail until it is told otherwise."""
    given = inputs.body(OrganizationInput)
    short_name = organizations.suggested_slug(given.name) if given.slug is None else given.slug
    made = organizations.create(
        name=given.name, short_name=short_name, actor=guard.principal().actor
    )
    return OrganizationShape.of(made, members=0)


@blueprint.get("/organizations/<slug:organization>")
@call(gives=OrganizationShape)
@requires(Permission.HOST_ORGANIZATIONS_READ)
def read_organization(organization: Organization) -> OrganizationShape:
    """One organization."""
    return _shape(organization)


@blueprint.patch("/organizations/<slug:organization>")
@call(takes=OrganizationChange, gives=OrganizationShape)
@requires(Permission.HOST_ORGANIZATIONS_CHANGE)
def change_organization(organization: Organization) -> OrganizationShape:
    """Rename, suspend or resume an organization; its short name stays."""
    given = inputs.body(OrganizationChange)
    actor = guard.principal().actor
    if "name" in given.model_fields_set:
        organizations.rename(organization, name=given.name or "", actor=actor)
    if "state" in given.model_fields_set:
        _set_state(organization, given.state, actor)
    return _shape(organization)


@blueprint.delete("/organizations/<slug:organization>")
@call(status=204)
@requires(Permission.HOST_ORGANIZATIONS_CHANGE)
def delete_organization(organization: Organization) -> None:
    """Delete an organization: waiting mail is cancelled, records and accounts stay."""
    organizations.delete(organization, actor=guard.principal().actor)


def _set_state(organization: Organization, state: str | None, actor: Actor) -> None:
    if state is None:
        raise Invalid.field("state", "Give active or suspended.")
    change = organizations.suspend if state == "suspended" else organizations.resume
    change(organization, actor=actor)


def _shape(organization: Organization) -> OrganizationShape:
    return OrganizationShape.of(organization, members=organizations.people(organization).members)
