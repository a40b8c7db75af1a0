"""Members, organizations, system administrators: by the pages, as people use them."""

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.audit.models import AuditEntry
from portal.delivery.models import Delivery
from portal.extensions import db
from portal.identity.models import Membership
from tests.browser import Browser
from tests.cast import Cast, Person

MEMBERS = "/organizations/acme/members"
NEW = {"Email address": "new@acme.test", "Name": "New One"}


def as_(app: Flask, person: Person) -> Browser:
    visit = Browser(app)
    visit.sign_in(person)
    return visit


def count(app: Flask, model: type) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_members_are_listed_searched_and_opened(app: Flask, cast: Cast) -> None:
    page = as_(app, cast.alice).open(MEMBERS)
    assert all(name in page.text for name in ("Alice Ames", "Bob Bauer", "Dave Dunn"))
    assert "Carol" not in page.text
    page = page.submit({"q": "bauer"}, button="Search")
    assert "Bob Bauer" in page.text and "Dave" not in page.text
    assert page.follow("Bob Bauer").heading == "Bob Bauer"
    assert "Nobody found" in page.browser.open(f"{MEMBERS}?q=%25").text


def test_an_invitation_is_listed_mailed_again_and_withdrawn(app: Flask, cast: Cast) -> None:
    alice = as_(app, cast.alice)
    page = alice.open(MEMBERS).follow("Invite a person").submit(NEW | {"role": "administrator"})
    assert "new@acme.test" in page.text and count(app, Delivery) == 1
    page = page.submit(button="Mail again to new@acme.test")
    assert "less than a minute ago" in page.text and count(app, Delivery) == 1
    page = page.submit(button="Withdraw the invitation of new@acme.test")
    assert "withdrawn" in page.text and "New One" not in page.text


def test_an_address_that_was_mailed_enough_is_refused_with_the_time_to_go_on(
    app: Flask, cast: Cast
) -> None:
    alice = as_(app, cast.alice)
    for _ in range(3):
        page = alice.open(f"{MEMBERS}/new").submit(NEW)
        page.submit(button="Withdraw the invitation of new@acme.test")
    page = alice.open(f"{MEMBERS}/new").submit(NEW, status=422)
    assert "Try again after" in page.errors[0]
    assert count(app, Delivery) == 3


def test_an_invitation_posted_twice_sends_one_mail(app: Flask, cast: Cast) -> None:
    page = as_(app, cast.alice).open(f"{MEMBERS}/new")
    page.submit(NEW)
    again = page.submit(NEW, status=422)
    assert "invited already" in again.errors[0] and count(app, Delivery) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Email address", "new@acme.test\r\nBcc: all@acme.test"),
        ("Email address", "new"),
        ("Name", "Boss <boss@acme.test>"),
        ("Name", "New\nOne"),
    ],
)
def test_a_hostile_invitation_is_refused_by_field(
    app: Flask, cast: Cast, field: str, value: str
) -> None:
    page = as_(app, cast.alice).open(f"{MEMBERS}/new").submit(NEW | {field: value}, status=422)
    assert page.errors[0].startswith(f"{field}:") and count(app, Delivery) == 0


def test_a_role_that_is_none_is_refused(app: Flask, cast: Cast) -> None:
    alice = as_(app, cast.alice)
    form = alice.open(f"{MEMBERS}/new").form()
    form.fill(NEW)
    form.data["role"] = "system_administrator"
    assert alice.client.post(f"{MEMBERS}/new", data=form.data).status_code == 422


def test_a_role_is_changed_and_the_last_administrator_is_kept(app: Flask, cast: Cast) -> None:
    alice = as_(app, cast.alice)
    last = alice.open(MEMBERS).follow("Alice Ames")
    assert "The last Administrator" in last.text
    assert "last Administrator" in last.submit({"role": "member"}, status=422).errors[0]
    alice.open(MEMBERS).follow("Bob Bauer").submit({"role": "administrator"})
    page = alice.open(MEMBERS).follow("Alice Ames").submit({"role": "member"}, status=403)
    assert "Bob Bauer" in page.text


def test_removing_says_what_happens_and_keeps_the_account(app: Flask, cast: Cast) -> None:
    page = as_(app, cast.alice).open(MEMBERS).follow("Dave Dunn").follow("Remove")
    assert "No mail to this person is waiting." in page.text
    page = page.submit(button="Remove")
    assert "no longer belongs here" in page.text
    assert as_(app, cast.dave).open("/").path.startswith("/organizations/globex/")


def test_the_last_administrator_is_not_removed_by_a_typed_address(app: Flask, cast: Cast) -> None:
    alice = as_(app, cast.alice)
    path = alice.open(MEMBERS).follow("Alice Ames").path
    page = alice.open(f"{path}/remove").submit(button="Remove")
    assert "can't be removed" in page.text and page.path == path


def test_members_of_another_organization_look_absent(app: Flask, cast: Cast) -> None:
    alice, carol = as_(app, cast.alice), as_(app, cast.carol)
    path = carol.open("/organizations/globex/members").follow("Carol Cruz").path
    alice.open(path, status=404)
    alice.open(path.replace("globex", "acme"), status=404)


def test_a_member_may_not_see_who_else_belongs(app: Flask, cast: Cast) -> None:
    page = as_(app, cast.bob).open(MEMBERS, status=403)
    assert "Alice Ames" in page.text


def test_organizations_are_listed_with_their_mode(app: Flask, cast: Cast) -> None:
    page = as_(app, cast.rita).open("/host/organizations")
    assert "Platform default" in page.text and "Own senders" in page.text
    page = page.submit({"q": "glob"}, button="Search")
    assert "Globex" in page.text and "Acme" not in page.text


def test_an_organization_is_created_with_an_invited_administrator(app: Flask, cast: Cast) -> None:
    values = {
        "Name": "Initech AG",
        "Email address of the first Administrator": "bill@initech.test",
        "Name of the first Administrator": "Bill",
    }
    form = as_(app, cast.rita).open("/host/organizations/new")
    page = form.submit(values)
    assert page.path == "/host/organizations/initech-ag"
    assert "bill@initech.test is invited" in page.text and count(app, Delivery) == 1
    again = form.submit(values, status=422)
    assert "Another organization is called initech-ag" in again.errors[0]
    assert count(app, Delivery) == 1


def test_what_is_wrong_about_a_new_organization_is_named_and_nothing_is_lost(
    app: Flask, cast: Cast
) -> None:
    values = {"Name": "北京公司", "Email address of the first Administrator": "bill@b.test"}
    page = as_(app, cast.rita).open("/host/organizations/new").submit(values, status=422)
    assert page.errors[0].startswith("Short name:")
    assert page.form().value("Name") == "北京公司"
    page = page.submit({"Short name": "beijing"}, status=422)
    assert page.errors[0].startswith("Name of the first Administrator:")
    assert page.submit({"Name of the first Administrator": "Bill"}).heading == "北京公司"


def test_deleting_an_organization_states_what_happens(app: Flask, cast: Cast) -> None:
    rita = as_(app, cast.rita)
    page = rita.open("/host/organizations/acme").follow("Delete")
    assert "3 people lose access." in page.text and "2 of them belong to no other" in page.text
    page = page.submit(button="Delete the organization")
    assert "Acme is deleted." in page.text
    rita.open("/host/organizations/acme", status=404)
    assert as_(app, cast.bob).open("/").path == "/me/profile"
    with app.app_context():
        rows = db.session.scalars(select(Membership.organization_id)).all()
        assert cast.acme.id not in rows


def test_acting_is_shown_on_every_page_and_ends(app: Flask, cast: Cast) -> None:
    rita = as_(app, cast.rita)
    rita.open(MEMBERS, status=403)
    page = rita.open("/host/organizations/acme").submit(button="Act inside Acme")
    assert page.path.startswith("/organizations/acme/") and "You act inside Acme" in page.text
    assert "You act inside Acme" in rita.open(MEMBERS).text
    page = rita.open("/me/profile").submit(button="Stop acting")
    assert "You act inside" not in page.text
    rita.open(MEMBERS, status=403)
    alice = as_(app, cast.alice).open("/organizations/acme/audit")
    assert "Acting started" in alice.text and "Rita Root" in alice.text


def test_nobody_but_a_system_administrator_acts_inside(app: Flask, cast: Cast) -> None:
    alice = as_(app, cast.alice)
    token = alice.open("/me/profile").form("Sign out").data["csrf_token"]
    for path in ("/host/organizations/globex/act", "/host/acting/stop"):
        assert alice.client.post(path, data={"csrf_token": token}).status_code == 403


def test_system_administrators_are_added_invited_and_removed(app: Flask, cast: Cast) -> None:
    rita = as_(app, cast.rita)
    page = rita.open("/host/administrators")
    assert "the last one" in page.text
    page = page.follow("Add a person").submit({"Email address": cast.carol.email, "Name": "C"})
    assert "carol@globex.test is a system administrator now." in page.text
    page = page.follow("Add a person").submit(NEW)
    assert "An invitation to new@acme.test is on its way." in page.text
    page = page.submit(button="Withdraw the invitation of new@acme.test")
    page = page.follow("Remove Carol Cruz").submit(button="Remove")
    assert "no system administrator any more" in page.text
    as_(app, cast.carol).open("/host/administrators", status=403)


def test_a_system_administrator_who_steps_down_stands_outside(app: Flask, cast: Cast) -> None:
    rita = as_(app, cast.rita)
    rita.open("/host/administrators/new").submit({"Email address": cast.bob.email, "Name": "B"})
    page = rita.open("/host/administrators").follow("Remove Rita Root").submit(button="Remove")
    assert page.path == "/me/profile"


def test_a_post_that_is_refused_changes_nothing(app: Flask, cast: Cast) -> None:
    before = count(app, AuditEntry)
    bob = as_(app, cast.bob)
    token = bob.open("/me/profile").form("Sign out").data["csrf_token"]
    for path in (f"{MEMBERS}/new", "/host/organizations/new", "/host/organizations/acme/delete"):
        assert bob.client.post(path, data={"csrf_token": token} | NEW).status_code == 403
    assert count(app, AuditEntry) == before
