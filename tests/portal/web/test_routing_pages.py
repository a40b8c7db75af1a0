"""The routing page: rules, what happens without one, and the switch for Members."""

import pytest
from flask import Flask

from portal.extensions import db
from portal.identity.models import Organization
from portal.notifications import routing
from tests.browser import Browser
from tests.cast import Cast, Person
from tests.page_rules import text_of
from tests.portal.records.records import organization_of

ROUTING = "/organizations/acme/routing"


def as_(app: Flask, person: Person) -> Browser:
    visit = Browser(app)
    visit.sign_in(person)
    return visit


def rules(app: Flask) -> list[tuple[str, list[str]]]:
    with app.app_context():
        found = routing.rules_of(db.session.query(Organization).filter_by(slug="acme").one())
        return [(rule.minimum_severity.value, rule.audience) for rule in found]


def test_without_a_rule_the_page_says_who_hears(app: Flask, cast: Cast) -> None:
    page = as_(app, cast.alice).open(ROUTING)
    assert "No rules yet" in page.text
    rows = [text_of(row) for row in page.root.query("tbody tr")]
    assert len(rows) == 4
    assert all("Alice Ames" in row and "no rule matches" in row for row in rows)


def test_a_rule_is_added_changed_and_removed(app: Flask, cast: Cast) -> None:
    page = as_(app, cast.alice).open(ROUTING).follow("Add a rule")
    page = page.submit(
        {
            "From severity": "Error",
            "roles": ["All Members"],
            "members": ["user:alice@acme.test"],
            "Addresses": "ops@elsewhere.test",
        }
    )
    assert rules(app) == [
        ("error", ["role:member", "user:alice@acme.test", "address:ops@elsewhere.test"])
    ]
    assert "All Members, Alice Ames, ops@elsewhere.test (outside)" in page.text
    assert "addresses outside the organization are recorded as suppressed" in page.text
    page = page.follow("Change rule 1")
    form = page.form()
    assert form.data.getlist("roles") == ["role:member"]
    assert (form.value("members"), form.value("Addresses")) == (
        "user:alice@acme.test",
        "ops@elsewhere.test",
    )
    page = page.submit({"From severity": "Critical", "roles": [], "Addresses": ""})
    assert rules(app) == [("critical", ["user:alice@acme.test"])]
    page = page.follow("Remove rule 1")
    assert "the Administrators are told" in page.text
    page.submit(button="Remove the rule")
    assert rules(app) == []


def test_who_left_stays_marked_in_a_rule_and_is_not_turned_into_an_address(
    app: Flask, cast: Cast
) -> None:
    page = as_(app, cast.alice).open(f"{ROUTING}/new")
    page = page.submit({"Addresses": "user:gone@acme.test"})
    assert "gone@acme.test (not a member)" in page.text
    page.follow("Change rule 1").submit({"From severity": "Critical"})
    assert rules(app) == [("critical", ["user:gone@acme.test"])]


@pytest.mark.parametrize(
    "values", [{}, {"Addresses": "nobody"}, {"Addresses": "a@b.test\nBcc: x@y.test"}]
)
def test_a_rule_that_means_nothing_names_its_field(
    app: Flask, cast: Cast, values: dict[str, str]
) -> None:
    page = as_(app, cast.alice).open(f"{ROUTING}/new").submit(values, status=422)
    assert [error.split(":")[0] for error in page.errors] == ["Addresses"]
    assert (page.form().value("Addresses") or "").replace("\r\n", "\n") == values.get(
        "Addresses", ""
    )
    assert rules(app) == []


def test_the_switch_says_whether_members_may_raise(app: Flask, cast: Cast) -> None:
    page = as_(app, cast.alice).open(ROUTING)
    switch = "Members may raise alerts and ask for approvals"
    page = page.submit({switch: False}, button="Save")
    with app.app_context():
        assert organization_of(cast.acme).members_may_raise is False
    page = page.submit({switch: True}, button="Save")
    with app.app_context():
        assert organization_of(cast.acme).members_may_raise is True


def test_routing_is_for_the_administrators_of_the_organization(app: Flask, cast: Cast) -> None:
    as_(app, cast.alice).open(f"{ROUTING}/new").submit({"roles": ["All Members"]})
    with app.app_context():
        rule = routing.rules_of(organization_of(cast.acme))[0].id
    as_(app, cast.bob).open(ROUTING, status=403)
    carol = as_(app, cast.carol)
    carol.open(ROUTING, status=404)
    for path in (f"/{rule}", f"/{rule}/remove"):
        carol.open(f"/organizations/globex/routing{path}", status=404)
