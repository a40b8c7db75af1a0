"""Who is told of what: an organization's routing rules."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.extensions import db
from portal.identity.forms import ActForm
from portal.identity.models import Organization
from portal.identity.policy import Permission
from portal.kinds import Category
from portal.notifications import routing as rules
from portal.notifications.forms import MembersMayForm, RuleForm
from portal.notifications.models import RoutingRule, Severity
from portal.notifications.recipients import Recipients, choose, people_of
from portal.settings import overview
from portal.validation import Invalid, address_key
from portal.web import guard
from portal.web.blueprints import organization as blueprint
from portal.web.forms import put_errors
from portal.web.guard import requires


@dataclass(frozen=True)
class Outcome:
    """Who would be told of an alert of this severity now. `is_fallback`: no rule matches it."""

    severity: Severity
    recipients: Recipients
    is_fallback: bool


@blueprint.get("/routing")
@requires(Permission.ROUTING_CHANGE)
def routing(organization: Organization) -> ResponseReturnValue:
    found = rules.rules_of(organization)
    people = people_of(organization)
    return render_template(
        "organization/routing.html",
        organization=organization,
        rules=found,
        names={address_key(person.address): person.name for person in people},
        outcomes=[_outcome(organization, found, severity) for severity in reversed(Severity)],
        goes_by_host=overview.route(organization).by_host,
        form=MembersMayForm(members_may_raise=organization.members_may_raise),
    )


@blueprint.post("/routing/members-may-raise")
@requires(Permission.ROUTING_CHANGE)
def routing_members_may_raise(organization: Organization) -> ResponseReturnValue:
    """The switch: may Members raise alerts and ask for approvals?"""
    may = bool(MembersMayForm().members_may_raise.data)
    rules.allow_members(organization, may_raise=may, actor=guard.principal().actor)
    target = _list_url(organization)
    db.session.commit()
    flash(_("What Members may do is saved."), "success")
    return redirect(target, 303)


@blueprint.route("/routing/new", methods=["GET", "POST"])
@requires(Permission.ROUTING_CHANGE)
def routing_new(organization: Organization) -> ResponseReturnValue:
    form = _form(organization)
    if form.validate_on_submit():
        try:
            rules.add_rule(
                organization,
                category=Category.ALERT.value,
                minimum_severity=form.minimum_severity.data or "",
                audience=form.entries,
                actor=guard.principal().actor,
            )
            return _saved(organization, _("The rule is added."))
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
    return _page(organization, form, None)


@blueprint.route("/routing/<uuid:rule_id>", methods=["GET", "POST"])
@requires(Permission.ROUTING_CHANGE)
def routing_rule(organization: Organization, rule_id: uuid.UUID) -> ResponseReturnValue:
    rule = _found(organization, rule_id)
    form = _form(organization, rule)
    if form.validate_on_submit():
        try:
            rules.change_rule(
                organization,
                rule,
                category=rule.category,
                minimum_severity=form.minimum_severity.data or "",
                audience=form.entries,
                actor=guard.principal().actor,
            )
            return _saved(organization, _("The rule is saved."))
        except Invalid as invalid:
            db.session.rollback()
            put_errors(form, invalid)
    return _page(organization, form, rule)


@blueprint.route("/routing/<uuid:rule_id>/remove", methods=["GET", "POST"])
@requires(Permission.ROUTING_CHANGE)
def routing_rule_remove(organization: Organization, rule_id: uuid.UUID) -> ResponseReturnValue:
    """Says who is told without the rule, then removes it."""
    rule = _found(organization, rule_id)
    if ActForm().is_submitted():
        rules.remove_rule(organization, rule, actor=guard.principal().actor)
        return _saved(organization, _("The rule is removed."))
    others = [one for one in rules.rules_of(organization) if one.id != rule.id]
    return render_template(
        "organization/routing_remove.html",
        organization=organization,
        rule=rule,
        outcome=_outcome(organization, others, rule.minimum_severity),
    )


def _form(organization: Organization, rule: RoutingRule | None = None) -> RuleForm:
    form = RuleForm()
    form.offer(people_of(organization))
    if rule is not None and not form.is_submitted():
        form.minimum_severity.data = rule.minimum_severity.value
        form.fill(rule.audience)
    return form


def _page(
    organization: Organization, form: RuleForm, rule: RoutingRule | None
) -> ResponseReturnValue:
    page = render_template(
        "organization/routing_rule.html",
        organization=organization,
        form=form,
        rule=rule,
        goes_by_host=overview.route(organization).by_host,
    )
    return page, 422 if form.errors else 200


def _saved(organization: Organization, say: str) -> ResponseReturnValue:
    target = _list_url(organization)
    db.session.commit()
    flash(say, "success")
    return redirect(target, 303)


def _list_url(organization: Organization) -> str:
    return url_for("organization.routing", organization=organization.slug)


def _outcome(
    organization: Organization, found: Sequence[RoutingRule], severity: Severity
) -> Outcome:
    audience = rules.audience_for(found, Category.ALERT, severity)
    is_matched = any(severity.rank >= rule.minimum_severity.rank for rule in found)
    return Outcome(severity, choose(people_of(organization), audience), not is_matched)


def _found(organization: Organization, rule_id: uuid.UUID) -> RoutingRule:
    return rules.find_rule(organization, rule_id) or abort(404)
