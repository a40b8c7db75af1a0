"""Deciding a request, on its own page and on the one that the mail leads to."""

from flask import flash
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity import names
from portal.identity.models import User
from portal.notifications import approvals
from portal.notifications.forms import DecisionForm
from portal.notifications.models import Approval, Approver, Verdict
from portal.validation import Invalid
from portal.web import guard
from portal.web.forms import put_errors


def approver_of(approval: Approval, user: User | None) -> Approver | None:
    """This person as an approver of the request."""
    if user is None:
        return None
    return next((one for one in approval.approvers if one.user_id == user.id), None)


def decision_of(approval: Approval) -> Approver | None:
    """The approver whose decision counts; None before there is one."""
    return next((one for one in approval.approvers if one.decision is not None), None)


def asked_by(approval: Approval) -> str:
    """The name of who asks: a person's, or the system's."""
    known = str(approval.requester_id) if approval.requester_id else None
    return names.of_users([known]).get(known or "") or approval.requested_by


def decided(approver: Approver, form: DecisionForm) -> bool:
    """Decide as the form says and commit. False: the form holds what is wrong with it."""
    verdict = form.chosen
    if verdict is None:
        form.form_errors.append(_("Choose Approve or Reject."))
        return False
    try:
        actor = guard.principal().actor
        outcome = approvals.decide(approver, verdict, comment=form.comment.data, actor=actor)
        db.session.commit()
    except Invalid as invalid:
        db.session.rollback()
        put_errors(form, invalid)
        return False
    if not outcome.won:
        flash(_("The request had ended before your decision came."), "warning")
    elif verdict is Verdict.APPROVED:
        flash(_("You approved the request."), "success")
    else:
        flash(_("You rejected the request."), "success")
    return True
