"""Routing rules: a category from a minimum severity on goes to an audience."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from portal.audit import log as audit
from portal.audit.log import Actor
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import Category
from portal.notifications.models import RoutingRule, Severity
from portal.notifications.recipients import parse_audience, refuse_too_many
from portal.validation import Invalid

ROUTED = (Category.ALERT,)
# Where no rule matches, the people who are responsible hear of it.
FALLBACK_AUDIENCE = ("role:administrator",)


def rules_of(organization: Organization) -> list[RoutingRule]:
    return list(
        db.session.scalars(
            select(RoutingRule)
            .where(RoutingRule.organization_id == organization.id)
            .order_by(RoutingRule.position, RoutingRule.id)
        )
    )


def audience_for(rules: Sequence[RoutingRule], category: Category, severity: Severity) -> list[str]:
    """The audience of every rule that matches, in order; Administrators where none does. Pure."""
    matching = [
        entry
        for rule in rules
        if rule.category == category.value and severity.rank >= rule.minimum_severity.rank
        for entry in rule.audience
    ]
    return list(dict.fromkeys(matching)) or list(FALLBACK_AUDIENCE)


def add_rule(
    organization: Organization,
    *,
    category: str,
    minimum_severity: str,
    audience: Sequence[object],
    actor: Actor,
) -> RoutingRule:
    """Add a rule at the end. Raises Invalid."""
    values = _checked(category, minimum_severity, audience)
    _refuse_too_many(rules_of(organization), values)
    last = db.session.scalar(
        select(func.max(RoutingRule.position)).where(RoutingRule.organization_id == organization.id)
    )
    rule = RoutingRule(organization_id=organization.id, position=(last or 0) + 1, **values)
    db.session.add(rule)
    db.session.flush()
    _record(organization, rule, "routing_rule.created", audit.difference({}, values), actor)
    return rule


def change_rule(
    organization: Organization,
    rule: RoutingRule,
    *,
    category: str,
    minimum_severity: str,
    audience: Sequence[object],
    actor: Actor,
) -> bool:
    """Change a rule. Returns whether anything changed. Raises Invalid."""
    values = _checked(category, minimum_severity, audience)
    _refuse_too_many([one for one in rules_of(organization) if one.id != rule.id], values)
    before = {key: getattr(rule, key) for key in values}
    changes = audit.difference(before, values)
    for key, value in values.items():
        setattr(rule, key, value)
    if changes:
        _record(organization, rule, "routing_rule.changed", changes, actor)
    return bool(changes)


def remove_rule(organization: Organization, rule: RoutingRule, *, actor: Actor) -> None:
    _record(
        organization, rule, "routing_rule.removed", {"audience": {"before": rule.audience}}, actor
    )
    db.session.delete(rule)


def find_rule(organization: Organization, rule_id: uuid.UUID) -> RoutingRule | None:
    return db.session.scalar(
        select(RoutingRule).where(
            RoutingRule.organization_id == organization.id, RoutingRule.id == rule_id
        )
    )


def allow_members(organization: Organization, *, may_raise: bool, actor: Actor) -> bool:
    """Whether Members may raise alerts and ask for approvals. Returns whether that changed."""
    if organization.members_may_raise == may_raise:
        return False
    changes = {"members_may_raise": {"before": organization.members_may_raise, "after": may_raise}}
    organization.members_may_raise = may_raise
    audit.record(
        actor,
        "organization.changed",
        organization_id=organization.id,
        object_type="organization",
        object_id=organization.id,
        changes=changes,
    )
    return True


def _checked(category: str, minimum_severity: str, audience: Sequence[object]) -> dict[str, Any]:
    if category not in [routed.value for routed in ROUTED]:
        known = ", ".join(routed.value for routed in ROUTED)
        raise Invalid.field("category", f"Choose a category that is routed: {known}.")
    try:
        severity = Severity(minimum_severity)
    except ValueError:
        raise Invalid.field(
            "minimum_severity", "Choose one of info, warning, error, critical."
        ) from None
    entries = parse_audience("audience", audience)
    if not entries:
        raise Invalid.field("audience", "Name at least one audience, for example role:member.")
    return {"category": category, "minimum_severity": severity, "audience": entries}


def _refuse_too_many(others: Sequence[RoutingRule], values: Mapping[str, Any]) -> None:
    """One alert may go to the audience of every rule. Raises Invalid."""
    number = sum(len(rule.audience) for rule in others) + len(values["audience"])
    cure = "All rules together count; name a role in place of many people."
    refuse_too_many("audience", number, cure)


def _record(
    organization: Organization,
    rule: RoutingRule,
    action: str,
    changes: Mapping[str, Any],
    actor: Actor,
) -> None:
    audit.record(
        actor,
        action,
        organization_id=organization.id,
        object_type="routing_rule",
        object_id=rule.id,
        changes=changes,
    )
