"""The routing rules of a settings file, matched with those that an organization has."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from portal.audit.log import OPERATOR
from portal.cli.settings_file.document import Section
from portal.cli.settings_file.places import located
from portal.identity.models import Organization
from portal.notifications import routing
from portal.notifications.models import RoutingRule
from portal.notifications.recipients import parse_audience

_LOWEST = "info"


@dataclass(frozen=True)
class _Wanted:
    section: Section
    category: str
    minimum_severity: str
    audience: tuple[str, ...]


_Alike = Callable[[_Wanted, RoutingRule], bool]


def apply_routing(organization: Organization, sections: tuple[Section, ...]) -> list[str]:
    """Add and change rules. Returns what changed. Raises Wrong.

    A rule has no name: one that differs from the file in its severity or in its audience alone is
    the same rule, changed.
    """
    wanted = [_wanted(section) for section in sections]
    matches = _matched(wanted, routing.rules_of(organization))
    done = []
    for number, rule in enumerate(wanted):
        known = matches.get(number)
        with located(rule.section):
            changed = _save(organization, rule, known)
        if changed:
            verb = "changed" if known is not None else "added"
            audience = ", ".join(rule.audience)
            done.append(
                f"routing {verb}: {rule.category} from {rule.minimum_severity} to {audience}"
            )
    return done


def _wanted(section: Section) -> _Wanted:
    with located(section):
        audience = tuple(parse_audience("audience", section.values["audience"]))
    severity = section.get("minimum_severity") or _LOWEST
    return _Wanted(section, section.values["category"], severity, audience)


def _matched(wanted: list[_Wanted], rules: Iterable[RoutingRule]) -> dict[int, RoutingRule]:
    """Which rule there is for which one of the file: the same one first, then the nearest."""
    free = list(rules)
    matches: dict[int, RoutingRule] = {}
    for is_alike in _ALIKE:
        for number, rule in enumerate(wanted):
            found = next((other for other in free if is_alike(rule, other)), None)
            if number not in matches and found is not None:
                matches[number] = found
                free.remove(found)
    return matches


def _save(organization: Organization, rule: _Wanted, known: RoutingRule | None) -> bool:
    if known is None:
        routing.add_rule(
            organization,
            category=rule.category,
            minimum_severity=rule.minimum_severity,
            audience=rule.audience,
            actor=OPERATOR,
        )
        return True
    return routing.change_rule(
        organization,
        known,
        category=rule.category,
        minimum_severity=rule.minimum_severity,
        audience=rule.audience,
        actor=OPERATOR,
    )


def _same_severity(wanted: _Wanted, rule: RoutingRule) -> bool:
    same_category = rule.category == wanted.category
    return same_category and rule.minimum_severity.value == wanted.minimum_severity


def _same_audience(wanted: _Wanted, rule: RoutingRule) -> bool:
    return rule.category == wanted.category and tuple(rule.audience) == wanted.audience


def _same(wanted: _Wanted, rule: RoutingRule) -> bool:
    return _same_severity(wanted, rule) and _same_audience(wanted, rule)


_ALIKE: tuple[_Alike, ...] = (_same, _same_audience, _same_severity)
