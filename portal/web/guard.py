"""Deny by default. Every handler declares who may call it; the organization comes from the URL.

Order of a request: find out who asks, load the organization, check the permission, check the
CSRF token; only then is the body parsed. Another organization's thing answers like an absent one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Response, abort, current_app, g, redirect, request, url_for
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy import select

from portal.config import Config
from portal.database import reading_only
from portal.extensions import csrf, db
from portal.identity import tokens
from portal.identity.models import Membership, Organization, OrganizationState
from portal.identity.policy import (
    NOBODY,
    Permission,
    Principal,
    host_permissions,
    organization_permissions,
)
from portal.web import proxies

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Access:
    """The declaration of a handler. `permission` None and `is_public`: nobody may call it too."""

    permission: Permission | None = None
    host_permission: Permission | None = None
    is_public: bool = False


def requires(
    permission: Permission, *, at_host: Permission | None = None
) -> Callable[[View], View]:
    """Only callers with this permission.

    A handler of an organization gets it as its argument `organization`. In the API a bare path
    is the token's own organization; for a host token it is the host: then `at_host` is asked
    for and `organization` is None.
    """

    def declare(view: View) -> View:
        view.__gatepost_access__ = Access(permission, at_host)  # type: ignore[attr-defined]
        return view

    return declare


def public(view: View) -> View:
    """A page for everyone: sign-in, recovery, invitation, decision, health."""
    view.__gatepost_access__ = Access(is_public=True)  # type: ignore[attr-defined]
    return view


def principal() -> Principal:
    """Who asks in this request."""
    found: Principal = g.get("principal", NOBODY)
    return found


def check() -> Response | None:
    """The before_request hook. Returns a redirect to sign-in, or None to go on."""
    # The API begins its writing transaction when the whole body is there: a slow client must not
    # hold the only writer's place (see portal/web/api/limits.py).
    reading_only(request.method in ("GET", "HEAD", "OPTIONS") or request.blueprint == "api")
    if request.endpoint is None or request.endpoint == "static":
        return None
    access = declared_access(current_app.view_functions[request.endpoint])
    g.principal = _who_asks()
    if access is None:
        abort(403)
    if not access.is_public:
        refusal = _check_permission(access)
        if refusal is not None:
            return refusal
    if request.blueprint != "api" and request.method not in ("GET", "HEAD", "OPTIONS"):
        _refuse_other_sites()
        _receive_body()
        csrf.protect()
    return None


def declared_access(view: Callable[..., Any]) -> Access | None:
    found: Access | None = getattr(view, "__gatepost_access__", None)
    return found


def may(permission: Permission) -> bool:
    """Whether the caller holds a permission in this request's organization, or at the host."""
    granted: frozenset[Permission] = g.get("granted", frozenset())
    return permission in granted


def _who_asks() -> Principal:
    if request.blueprint == "api":
        token = tokens.authenticate(request.headers.get("Authorization", ""))
        return Principal(token=token, ip=request.remote_addr)
    if current_user.is_authenticated:
        session = current_user.session
        return Principal(user=session.user, session=session, ip=request.remote_addr)
    return Principal(ip=request.remote_addr)


def _check_permission(access: Access) -> Response | None:
    asking = principal()
    if asking.is_nobody:
        return _send_to_sign_in()
    wanted = access.permission
    if wanted is None or not wanted.is_organization:
        # Before the organization is loaded: a refusal must not tell whether it exists.
        _need(wanted, host_permissions(asking))
        _load_organization(asking)
        return None
    organization = _load_organization(asking)
    if request.blueprint == "api":
        _hand_over(organization)
    if organization is None:
        _need(access.host_permission, host_permissions(asking))
        return None
    granted = organization_permissions(asking, organization, _membership(asking, organization))
    # Nothing granted inside an organization: it must look as if it did not exist.
    if not granted:
        abort(404)
    # Not before: pages, those of refusals too, name the organization that they find here.
    g.organization = organization
    _need(wanted, granted)
    return None


def _refuse_other_sites() -> None:
    """A page of another site posts nothing here, whatever token it holds. Raises CSRFError.

    Our own pages send no referrer, so that browsers send `Origin: null` with their forms (Fetch,
    3.1): then the token alone decides.
    """
    origin = request.headers.get("Origin", "null")
    config: Config = current_app.extensions["config"]
    is_own = origin == "null" or proxies.origin_is_own(origin, request.host, config)
    if not is_own or request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        raise CSRFError("The form was sent from another site.")


def _receive_body() -> None:
    """Wait for the whole body with no transaction open, as the API does: on PostgreSQL one in which
    nothing happens is ended, and on SQLite it would hold the only writer's place."""
    db.session.rollback()
    request.get_data(cache=True)


def _need(wanted: Permission | None, granted: frozenset[Permission]) -> None:
    g.granted = granted
    if wanted is not None and wanted in granted:
        return
    token = principal().token
    if token is None:
        abort(403)
    if wanted is None and token.organization_id is None:
        abort(403, "A host token names the organization: /api/v1/organizations/{slug}/...")
    abort(403, f"This token may not do that; its scopes are: {', '.join(token.scopes)}.")


def _hand_over(organization: Organization | None) -> None:
    """Give an API handler its argument also on a bare path, where the URL holds none."""
    request.view_args = (request.view_args or {}) | {"organization": organization}


def _send_to_sign_in() -> Response:
    if request.blueprint == "api" or request.method not in ("GET", "HEAD"):
        abort(401)
    target = request.full_path if request.query_string else request.path
    return redirect(url_for("auth.sign_in", next=target), 303)  # type: ignore[return-value]


def _load_organization(asking: Principal) -> Organization | None:
    """The organization of the URL; on the API's bare paths that of the token."""
    arguments = request.view_args or {}
    if "organization" in arguments:
        found = db.session.scalar(
            select(Organization).where(
                Organization.slug == arguments["organization"],
                Organization.state != OrganizationState.DELETED,
            )
        )
        if found is None:
            abort(404)
        arguments["organization"] = found
        return found
    return asking.token.organization if asking.token is not None else None


def _membership(asking: Principal, organization: Organization) -> Membership | None:
    if asking.user is None:
        return None
    return db.session.scalar(
        select(Membership).where(
            Membership.organization_id == organization.id,
            Membership.user_id == asking.user.id,
        )
    )
