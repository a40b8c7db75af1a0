"""Approvals: the list, asking for one, and its page with the decision."""

import uuid
from datetime import timedelta

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.notifications import approval_requests, approvals, search
from portal.notifications.approval_requests import Request
from portal.notifications.forms import MOST_BOXES, ApprovalForm, DecisionForm, no_approver
from portal.notifications.models import Approval, ApprovalState
from portal.notifications.recipients import people_of
from portal.notifications.search import ApprovalFilters
from portal.records import people_told
from portal.validation import Invalid
from portal.web import arguments, guard, words
from portal.web.blueprints import notifications as blueprint
from portal.web.forms import put_errors
from portal.web.guard import requires
from portal.web.lists import AFTER, BEFORE, Filter, ListState
from portal.web.notifications import deciding
from portal.web.records_pages import Place

_FIRST_OFFER = timedelta(days=7)


@blueprint.get("/approvals", endpoint="approvals")
@requires(Permission.APPROVALS_READ)
def list_approvals(organization: Organization) -> ResponseReturnValue:
    state = ListState(_filters())
    page = search.approvals(
        organization,
        _wanted(),
        after=arguments.row_id(BEFORE),
        newer_than=arguments.row_id(AFTER),
    )
    return render_template(
        "notifications/approvals.html",
        organization=organization,
        page=page,
        state=state,
        newer_url=state.newer_url(page.newer),
        older_url=state.older_url(page.next),
        state_now=approvals.state_now,
        states=[("", _("Any state")), *((one.value, _state(one)) for one in ApprovalState)],
        whose=[("", _("Everyone")), ("me", _for_me("me"))],
    )


@blueprint.route("/approvals/new", methods=["GET", "POST"])
@requires(Permission.APPROVALS_REQUEST)
def approval_new(organization: Organization) -> ResponseReturnValue:
    people = people_of(organization)
    form = ApprovalForm(expires_at=arguments.today() + _FIRST_OFFER)
    form.offer(people)
    if form.validate_on_submit():
        try:
            requested = approval_requests.request_approval(
                organization,
                _asked(form),
                actor=guard.principal().actor,
                requester=guard.principal().user,
                new_approval_id=form.token,
            )
            target = url_of(organization, requested.approval)
            db.session.commit()
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
        else:
            return redirect(target, 303)
    page = render_template(
        "notifications/approval_new.html",
        form=form,
        organization=organization,
        has_more=len(people) > MOST_BOXES,
    )
    return page, 422 if form.errors else 200


@blueprint.get("/approvals/<uuid:approval_id>")
@requires(Permission.APPROVALS_READ)
def approval(organization: Organization, approval_id: uuid.UUID) -> ResponseReturnValue:
    """One request: how it stands, who decides, and the decision of a named approver."""
    return _page(organization, _found(organization, approval_id), DecisionForm()), 200


@blueprint.post("/approvals/<uuid:approval_id>/decide")
@requires(Permission.APPROVALS_DECIDE)
def approval_decide(organization: Organization, approval_id: uuid.UUID) -> ResponseReturnValue:
    """By a named approver alone."""
    found = _found(organization, approval_id)
    mine = deciding.approver_of(found, guard.principal().user) or abort(403)
    form = DecisionForm()
    if form.validate() and deciding.decided(mine, form):
        return redirect(
            url_for(".approval", organization=organization.slug, approval_id=approval_id), 303
        )
    return _page(organization, _found(organization, approval_id), form), 422


@blueprint.post("/approvals/<uuid:approval_id>/withdraw")
@requires(Permission.APPROVALS_READ)
def approval_withdraw(organization: Organization, approval_id: uuid.UUID) -> ResponseReturnValue:
    """By the requester or an Administrator."""
    found = _found(organization, approval_id)
    if not _may_withdraw(found):
        abort(403)
    won = approvals.withdraw(found, actor=guard.principal().actor)
    target = url_of(organization, found)
    db.session.commit()
    if won:
        flash(_("The request is withdrawn; its links no longer decide."), "success")
    else:
        flash(_("The request had ended already; nothing was withdrawn."), "warning")
    return redirect(target, 303)


def url_of(organization: Organization, approval: Approval) -> str:
    """The page of a request."""
    return url_for(
        "notifications.approval", organization=organization.slug, approval_id=approval.id
    )


def _page(organization: Organization, found: Approval, form: DecisionForm) -> str:
    return render_template(
        "notifications/approval.html",
        organization=organization,
        approval=found,
        state=approvals.state_now(found),
        mine=deciding.approver_of(found, guard.principal().user),
        decided=deciding.decision_of(found),
        asked_by=deciding.asked_by(found),
        form=form,
        may_withdraw=_may_withdraw(found),
        everyone=people_told.everyone(organization.id, found.notification_id),
        place=Place(organization) if guard.may(Permission.RECORDS_READ) else None,
    )


def _may_withdraw(found: Approval) -> bool:
    user = guard.principal().user
    is_requester = user is not None and found.requester_id == user.id
    return is_requester or guard.may(Permission.APPROVALS_WITHDRAW)


def _found(organization: Organization, approval_id: uuid.UUID) -> Approval:
    return approvals.find(organization, approval_id) or abort(404)


def _asked(form: ApprovalForm) -> Request:
    if not form.audience:
        raise Invalid.field("approvers", no_approver())
    return approval_requests.parse_request(
        title=form.title.data or "",
        text=form.text.data,
        approvers=form.audience,
        resource=form.resource,
        expires_at=arguments.start_of(form.expires_at.data, days_later=1),
    )


def _filters() -> list[Filter]:
    return [
        Filter("q", _("Title or resource")),
        Filter("state", _("State"), _state),
        Filter("for", _("Waits for"), _for_me),
    ]


def _wanted() -> ApprovalFilters:
    state, user = arguments.text("state"), guard.principal().user
    is_mine = arguments.text("for") == "me" and user is not None
    return ApprovalFilters(
        state=ApprovalState(state) if state in list(ApprovalState) else None,
        waits_for=user.id if user is not None and is_mine else None,
        text=arguments.text("q") or None,
    )


def _state(slug: str) -> str:
    return str(words.state_chip(words.APPROVAL_STATES, slug).word)


def _for_me(_key: str) -> str:
    return str(_("my decision")) if _key == "me" else _key
