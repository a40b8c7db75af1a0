"""The page of the suppression list and its calls: who lifts, one address and a selection."""

import uuid

from flask import Flask

from portal.delivery.models import Delivery
from portal.delivery.suppressions import Suppression
from portal.extensions import db
from portal.settings.scope import HOST, Scope
from tests.browser import Browser
from tests.cast import Cast
from tests.portal.records.records import listed, told
from tests.portal.web.api.calling import done, refused
from tests.portal.web.api.conftest import MakeSystem, system
from tests.portal.web.test_unknown_pages import buttons

__all__ = ["system"]
ACME = "/organizations/acme/records"
LIFT = f"{ACME}/suppressions/lift"


def suppressed(app: Flask, scope: Scope, *addresses: str, **more: uuid.UUID) -> list[uuid.UUID]:
    with app.app_context():
        return [listed(scope, address, **more).id for address in addresses]


def left(app: Flask) -> set[str]:
    with app.app_context():
        return set(db.session.scalars(db.select(Suppression.address)))


def stopped(app: Flask, cast: Cast) -> list[uuid.UUID]:
    """One mail that led to an entry of Acme's list, one that it stopped, both to alice."""
    with app.app_context():
        (first,) = told(cast.acme, "Disk full")
        first.state, first.reason = "failed", "recipient_refused"
        listed(Scope(cast.acme.id), cast.alice.email, delivery_id=first.id)
        (second,) = told(cast.acme, "Disk still full")
        return [first.id, second.id]


def test_an_administrator_lifts_a_selection_and_one(app: Flask, visit: Browser, cast: Cast) -> None:
    acme = Scope(cast.acme.id)
    ids = suppressed(app, acme, "one@x.test", "two@x.test", "three@x.test")
    theirs = suppressed(app, Scope(cast.globex.id), "theirs@x.test")
    visit.sign_in(cast.alice)
    page = visit.open(ACME).follow("Suppression list: 3")
    assert "The mailbox does not exist" in page.text and "550 5.1.1" in page.text
    assert "User unknown" not in page.text, "the text of the platform's server"
    assert "a mail whose record is gone" in page.text and "theirs@x.test" not in page.text
    narrowed = visit.open(f"{ACME}/suppressions?q=TWO")
    assert "two@x.test" in narrowed.text and "one@x.test" not in narrowed.text
    assert "No address on the list has this in it." in visit.open(f"{ACME}/suppressions?q=ben").text

    form = page.form("Lift")
    form.data.poplist("one")
    form.data.setlist("entry", [str(one) for one in (ids[0], ids[1], theirs[0])])
    page = visit.send(LIFT, form.data)
    assert "2 addresses were lifted: new mail to them is tried." in page.text
    form.data.setlist("one", [str(ids[2])])
    page = visit.send(LIFT, form.data)
    assert "three@x.test was lifted: new mail to it is tried." in page.text
    assert "No address is suppressed" in page.text
    assert left(app) == {"theirs@x.test"}
    assert "Suppression lifted" in visit.open("/organizations/acme/audit").text


def test_nothing_ticked_and_nonsense_lift_nothing(app: Flask, visit: Browser, cast: Cast) -> None:
    suppressed(app, Scope(cast.acme.id), "one@x.test")
    visit.sign_in(cast.alice)
    form = visit.open(f"{ACME}/suppressions").form("Lift")
    for given, said in (
        ([], "Tick the addresses that this is for."),
        (["nonsense"], "Tick the addresses that this is for."),
        ([str(uuid.uuid4())], "these addresses are not on the list any more"),
        ([str(uuid.uuid4()) for _ in range(51)], "At most 50 at once."),
    ):
        form.data.setlist("entry", given)
        form.data.poplist("one")
        assert said in visit.send(LIFT, form.data).text
    assert left(app) == {"one@x.test"}


def test_a_record_leads_to_the_entry_that_stopped_it_and_to_the_one_it_led_to(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    told_by, stopped_by = stopped(app, cast)
    visit.sign_in(cast.alice)
    link = f"{cast.alice.email} stands on the suppression list"
    record = visit.open(f"{ACME}/{told_by}")
    page = record.follow(link)
    assert page.path == f"{ACME}/suppressions?q={cast.alice.email}"
    assert page.follow("Error: Disk full").path == f"{ACME}/{told_by}"
    assert (
        page.follow("Mail that was stopped")
        .follow("Error: Disk still full")
        .path.endswith(str(stopped_by))
    )
    record = visit.open(f"{ACME}/{stopped_by}")
    assert "This address bounced before" in record.text
    record = record.submit(button="Lift")
    assert record.path == f"{ACME}/{stopped_by}"
    assert "was lifted since: new mail to it is tried" in record.text
    assert "suppression list" not in visit.open(f"{ACME}/{told_by}").text.lower()


def test_the_host_lifts_of_its_own_list_and_inside_an_organization_when_acting(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    (theirs,) = suppressed(app, Scope(cast.acme.id), "theirs@x.test")
    (own,) = suppressed(app, HOST, "own@x.test")
    visit.sign_in(cast.rita)
    page = visit.open("/host/records").follow("Suppression list: 2")
    assert [box.attrs["value"] for box in page.root.query("input[name=entry]")] == [str(own)]
    form = page.form("Lift")
    form.data.poplist("one")
    form.data.setlist("entry", [str(theirs), str(own)])
    page = visit.send("/host/records/suppressions/lift", form.data)
    assert left(app) == {"theirs@x.test"}
    page = page.follow("See in Acme")
    assert "An Administrator of Acme lifts" in page.text
    assert "Lift" not in buttons(page)
    assert visit.client.post(LIFT, data=form.data).status_code == 403
    _, stopped_by = stopped(app, cast)
    record = visit.open(f"/host/records/{stopped_by}")
    assert "Lift" not in buttons(record)
    assert record.follow(f"{cast.alice.email} stands on the suppression list").path.startswith(
        f"{ACME}/suppressions?"
    )


def test_systems_read_and_lift_in_their_scope(app: Flask, cast: Cast, system: MakeSystem) -> None:
    one, two = suppressed(app, Scope(cast.acme.id), "one@x.test", "Two@x.test")
    (own,) = suppressed(app, HOST, "own@x.test")
    reader, acme = system(cast.acme, "read"), system(cast.acme, "configure")
    host, globex = system(None, "read", "configure"), system(cast.globex, "read", "configure")
    first = done(reader.get("/suppressions?limit=1"))
    assert [item["id"] for item in first["items"]] == [str(two)]
    item = done(reader.get(f"/suppressions?limit=1&after={first['next']}"))["items"][0]
    assert item.pop("created_at") < item.pop("rests_until") > item.pop("refused_at")
    assert item.pop("delivery_id")
    assert item == {
        "id": str(one),
        "organization": "acme",
        "address": "one@x.test",
        "cause": "no_such_mailbox",
        "code": 550,
        "enhanced_code": "5.1.1",
        "reply": None,
        "refusals": 1,
    }
    for wanted, found in (("address=TWO@x.test", [str(two)]), ("q=one", [str(one)]), ("q=z", [])):
        items = done(reader.get(f"/suppressions?{wanted}"))["items"]
        assert [item["id"] for item in items] == found
    assert done(globex.get("/suppressions"))["items"] == []
    assert [item["id"] for item in done(host.get("/suppressions"))["items"]] == [str(own)]
    there = done(host.get("/organizations/acme/suppressions"))["items"]
    assert [item["reply"] for item in there] == ["5.1.1 User unknown"] * 2

    refused(acme.get("/suppressions"), 403)
    refused(reader.call("DELETE", f"/suppressions/{one}"), 403)
    refused(globex.call("DELETE", f"/suppressions/{one}"), 404)
    refused(acme.call("DELETE", f"/suppressions/{own}"), 404)
    refused(host.call("DELETE", f"/suppressions/{one}"), 404)
    done(acme.call("DELETE", f"/suppressions/{one}"), 204)
    refused(acme.call("DELETE", f"/suppressions/{one}"), 404)
    done(host.call("DELETE", f"/organizations/acme/suppressions/{two}"), 204)
    done(host.call("DELETE", f"/suppressions/{own}"), 204)
    assert left(app) == set()
    with app.app_context():
        assert db.session.scalars(db.select(Delivery.id)).all() == []
