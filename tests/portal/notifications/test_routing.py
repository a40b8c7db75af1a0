"""Routing rules: which audience hears of which severity, and what happens without a rule."""

import pytest
from sqlalchemy.orm import Session, scoped_session

from portal.audit.log import SYSTEM
from portal.kinds import Category
from portal.notifications import recipients, routing
from portal.notifications.models import RoutingRule, Severity
from portal.validation import Invalid
from tests.cast import Cast
from tests.portal.records.records import organization_of

ADMINISTRATORS = list(routing.FALLBACK_AUDIENCE)


def rule(severity: Severity, *audience: str) -> RoutingRule:
    return RoutingRule(category="alert", minimum_severity=severity, audience=list(audience))


@pytest.mark.parametrize(
    ("rules", "severity", "expected"),
    [
        ([], Severity.CRITICAL, ADMINISTRATORS),
        ([rule(Severity.ERROR, "role:member")], Severity.WARNING, ADMINISTRATORS),
        ([rule(Severity.ERROR, "role:member")], Severity.ERROR, ["role:member"]),
        ([rule(Severity.ERROR, "role:member")], Severity.CRITICAL, ["role:member"]),
        (
            [
                rule(Severity.INFO, "role:member", "user:a@x.test"),
                rule(Severity.ERROR, "user:a@x.test"),
            ],
            Severity.ERROR,
            ["role:member", "user:a@x.test"],
        ),
    ],
)
def test_every_rule_that_matches_counts_and_without_one_the_administrators_hear(
    rules: list[RoutingRule], severity: Severity, expected: list[str]
) -> None:
    assert routing.audience_for(rules, Category.ALERT, severity) == expected


def test_rules_keep_their_order_and_belong_to_one_organization(
    session: scoped_session[Session], cast: Cast
) -> None:
    acme, globex = organization_of(cast.acme), organization_of(cast.globex)
    made = [
        routing.add_rule(
            acme, category="alert", minimum_severity=one, audience=["role:member"], actor=SYSTEM
        )
        for one in ("critical", "info")
    ]
    session.commit()
    assert routing.rules_of(acme) == made
    assert routing.rules_of(globex) == []
    assert routing.find_rule(globex, made[0].id) is None


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"category": "security"}, "category"),
        ({"minimum_severity": "loud"}, "minimum_severity"),
        ({"audience": []}, "audience"),
        ({"audience": ["role:member", "nobody"]}, "audience.1"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(
    session: scoped_session[Session], cast: Cast, values: dict[str, object], field: str
) -> None:
    sound = {"category": "alert", "minimum_severity": "info", "audience": ["role:member"]}
    with pytest.raises(Invalid) as refused:
        routing.add_rule(organization_of(cast.acme), **(sound | values), actor=SYSTEM)  # type: ignore[arg-type]
    assert [error.field for error in refused.value.errors] == [field]


def test_saving_a_rule_unchanged_is_no_change(session: scoped_session[Session], cast: Cast) -> None:
    acme = organization_of(cast.acme)
    values = {"category": "alert", "minimum_severity": "info", "audience": ["role:member"]}
    made = routing.add_rule(acme, **values, actor=SYSTEM)  # type: ignore[arg-type]
    assert not routing.change_rule(acme, made, **values, actor=SYSTEM)  # type: ignore[arg-type]
    changed = values | {"minimum_severity": "error"}
    assert routing.change_rule(acme, made, **changed, actor=SYSTEM)  # type: ignore[arg-type]


def test_the_switch_for_members_is_changed_once(
    session: scoped_session[Session], cast: Cast
) -> None:
    acme = organization_of(cast.acme)
    assert routing.allow_members(acme, may_raise=False, actor=SYSTEM)
    assert not routing.allow_members(acme, may_raise=False, actor=SYSTEM)
    assert acme.members_may_raise is False


def test_all_rules_together_name_no_more_than_one_alert_may_go_to(
    session: scoped_session[Session], cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipients, "MOST", 10)
    organization = organization_of(cast.acme)
    half = [f"address:person{number}@acme.test" for number in range(5)]
    said = {"category": "alert", "minimum_severity": "info", "actor": SYSTEM}
    first = routing.add_rule(organization, audience=half, **said)
    routing.add_rule(organization, audience=half[:-1], **said)
    routing.change_rule(organization, first, audience=[*half, "role:member"], **said)
    with pytest.raises(Invalid, match="name a role"):
        routing.add_rule(organization, audience=["role:member"], **said)
    with pytest.raises(Invalid, match="at most 10; these are 11"):
        routing.change_rule(
            organization, first, audience=[*half, "role:member", "a@b.test"], **said
        )
