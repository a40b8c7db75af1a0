"""The page that a mailed link leads to. Opening it never decides: a scanner may visit it as often
as it likes. The decision is a post from it, by the approver, signed in."""

from dataclasses import dataclass

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError

from portal.database import reading_only
from portal.extensions import db
from portal.identity import members
from portal.identity.models import Organization, OrganizationState, User
from portal.notifications import approvals
from portal.notifications.forms import DecisionForm
from portal.notifications.models import ApprovalState, Approver, Verdict
from portal.web import guard
from portal.web.blueprints import auth as blueprint
from portal.web.guard import public
from portal.web.notifications import deciding


@dataclass(frozen=True)
class Seat:
    """An approver as the link names one, and who stands before the page."""

    approver: Approver
    organization: Organization
    state: ApprovalState
    visitor: User | None

    @property
    def is_theirs(self) -> bool:
        return self.visitor is not None and self.visitor.id == self.approver.user_id

    @property
    def may_decide(self) -> bool:
        return self.is_theirs and self.state is ApprovalState.PENDING


@blueprint.get("/decide/<token:token>")
@public
def decide(token: str) -> ResponseReturnValue:
    """Shows the request and counts the visit."""
    _count_visit(token)
    seat = _seat(token)
    return _unusable() if seat is None else _page(seat, token, DecisionForm())


@blueprint.post("/decide/<token:token>")
@public
def decide_now(token: str) -> ResponseReturnValue:
    seat = _seat(token)
    if seat is None:
        return _unusable()
    here = url_for("auth.decide", token=token)
    if seat.visitor is None:
        return redirect(url_for("auth.sign_in", next=here), 303)
    if not seat.is_theirs:
        abort(403)
    form = DecisionForm()
    if form.validate() and deciding.decided(seat.approver, form):
        return redirect(here, 303)
    return _page(_seat(token) or seat, token, form), 422


def _seat(token: str) -> Seat | None:
    """None: the link names nobody, or somebody who no longer belongs to the organization."""
    approver = approvals.approver_by_token(token)
    if approver is None:
        return None
    organization = db.session.get_one(Organization, approver.organization_id)
    if organization.state is OrganizationState.DELETED:
        return None
    if members.membership_of(organization, approver.user) is None:
        return None
    state = approvals.state_now(approver.approval)
    return Seat(approver, organization, state, guard.principal().user)


def _count_visit(token: str) -> None:
    """In a transaction of its own; a page is not refused because it could not be counted."""
    approver = approvals.approver_by_token(token)
    if approver is None:
        return
    approver_id = approver.id
    db.session.rollback()
    reading_only(False)
    try:
        approvals.note_visit(approver_id)
    except OperationalError:
        db.session.rollback()
    finally:
        reading_only(True)


def _page(seat: Seat, token: str, form: DecisionForm) -> str:
    wanted = request.args.get("verdict")
    return render_template(
        "notifications/decision.html",
        seat=seat,
        approval=seat.approver.approval,
        decided=deciding.decision_of(seat.approver.approval),
        asked_by=deciding.asked_by(seat.approver.approval),
        form=form,
        wanted=Verdict(wanted) if wanted in list(Verdict) else None,
        brand_name=seat.organization.name,
        sign_in_url=url_for(
            "auth.sign_in", next=url_for("auth.decide", token=token, verdict=wanted)
        ),
    )


def _unusable() -> ResponseReturnValue:
    return render_template("notifications/decision_unknown.html"), 404
