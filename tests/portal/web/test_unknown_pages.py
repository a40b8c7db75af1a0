"""The page of mail whose outcome is unknown: who decides, for one mail and for a selection."""

import uuid

from flask import Flask

from portal.delivery import outbox
from portal.delivery.models import Delivery, Level, State
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.kinds import BY_KEY
from tests.browser import Browser, Page
from tests.cast import Cast, Tenant
from tests.page_rules import text_of
from tests.portal.records.records import told
from tests.portal.web.api.calling import done, refused
from tests.portal.web.api.conftest import MakeSystem, system

__all__ = ["system"]
ACME = "/organizations/acme/records"


def lost(app: Flask, tenant: Tenant | None, *titles: str) -> list[uuid.UUID]:
    """Mails of the tenant, or one of the host (None), whose outcome is unknown."""
    with app.app_context():
        found = [told(tenant, title)[0] for title in titles] if tenant else [_of_host()]
        for delivery in found:
            delivery.state, delivery.reason = State.UNKNOWN, "lost_after_dot"
        db.session.commit()
        return [delivery.id for delivery in found]


def _of_host() -> Delivery:
    data = {"credential": "own_ca", "sender_name": "platform", "expires_at": None}
    addressees = [Addressee("rita@gatepost.test")]
    kind = BY_KEY["mail.credential_expiring"]
    return outbox.enqueue(None, kind, data=data, addressees=addressees).deliveries[0]


def states(app: Flask, ids: list[uuid.UUID]) -> list[str]:
    with app.app_context():
        return [db.session.get_one(Delivery, one).state.value for one in ids]


def buttons(page: Page) -> set[str]:
    return {text_of(button) for button in page.root.query("main button:not([disabled])")}


def test_an_administrator_decides_for_a_selection_and_for_one(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    ids = lost(app, cast.acme, "Disk one", "Disk two", "Disk three", "Disk four")
    theirs = lost(app, cast.globex, "Disk of Globex")
    visit.sign_in(cast.alice)
    page = visit.open(ACME).follow("Outcome unknown: 4")
    assert "Connection lost after the final dot" in page.text and "Globex" not in page.text
    form = page.form("Confirm arrived")
    form.data.setlist("delivery", [str(ids[0]), str(ids[1]), str(theirs[0])])
    page = visit.send(f"{ACME}/unknown/confirm", form.data)
    assert "2 mails count as arrived." in page.text
    assert states(app, [*ids, *theirs]) == ["accepted"] * 2 + ["unknown"] * 3

    form.data.setlist("one", [str(ids[2])])
    page = visit.send(f"{ACME}/unknown/send", form.data)
    assert "1 mail is sent again" in page.text
    page = visit.send(f"{ACME}/unknown/send", form.data)
    assert "What became of this mail is known: it is queued." in page.text

    record = visit.open(f"{ACME}/{ids[3]}")
    assert {"Confirm arrived", "Send anyway"} <= buttons(record)
    record = record.submit(button="Confirm arrived")
    assert record.path == f"{ACME}/{ids[3]}"
    assert "as a person confirmed; no answer came from the platform’s server." in record.text
    assert "No outcome is unknown" in visit.open(f"{ACME}/unknown").text


def test_nothing_ticked_and_nonsense_change_nothing(app: Flask, visit: Browser, cast: Cast) -> None:
    ids = lost(app, cast.acme, "Disk full")
    visit.sign_in(cast.alice)
    form = visit.open(f"{ACME}/unknown").form("Send anyway")
    for given, said in (
        ([], "Tick the mails that this is for."),
        (["nonsense"], "Tick the mails that this is for."),
        ([str(uuid.uuid4())], "these mails are not here any more"),
        ([str(uuid.uuid4()) for _ in range(51)], "At most 50 at once."),
    ):
        form.data.setlist("delivery", given)
        form.data.poplist("one")
        assert said in visit.send(f"{ACME}/unknown/send", form.data).text
    assert states(app, ids) == ["unknown"]


def test_the_host_decides_of_its_own_mail_and_inside_an_organization_when_acting(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    theirs, own = lost(app, cast.acme, "Disk full"), lost(app, None)
    visit.sign_in(cast.rita)
    page = visit.open("/host/records/unknown")
    ticks = [box.attrs["value"] for box in page.root.query("input[name=delivery]")]
    assert ticks == [str(own[0])]
    form = page.form("Confirm arrived")
    form.data.setlist("delivery", [str(theirs[0]), str(own[0])])
    page = visit.send("/host/records/unknown/confirm", form.data)
    assert states(app, [*theirs, *own]) == ["unknown", "accepted"]
    page = page.follow("Decide in Acme")
    assert "An Administrator of Acme decides" in page.text
    assert "Confirm arrived" not in buttons(page)
    assert visit.client.post(f"{ACME}/unknown/confirm", data=form.data).status_code == 403
    assert "Confirm arrived" not in buttons(visit.open(f"{ACME}/{theirs[0]}"))
    assert "Confirm arrived" not in buttons(visit.open(f"/host/records/{theirs[0]}"))


def test_systems_confirm_and_send_anyway_in_their_scope(
    app: Flask, cast: Cast, system: MakeSystem
) -> None:
    one, two, three = lost(app, cast.acme, "Disk one", "Disk two", "Disk three")
    (own,) = lost(app, None)
    acme, host = system(cast.acme, "configure"), system(None, "configure")
    confirmed = done(acme.post(f"/deliveries/{one}/confirm"))
    assert (confirmed["id"], confirmed["state"], confirmed["reason"]) == (
        str(one),
        "accepted",
        "confirmed",
    )
    again = done(acme.post(f"/deliveries/{two}/retry", key="k"))
    assert (again["state"], again["may_be_duplicate"]) == ("queued", True)
    assert done(acme.post(f"/deliveries/{two}/retry", key="k")) == again
    assert "/state" in refused(acme.post(f"/deliveries/{two}/retry"))
    refused(acme.post(f"/deliveries/{own}/confirm"), 404)
    refused(system(cast.globex, "configure").post(f"/deliveries/{three}/confirm"), 404)
    refused(system(cast.acme, "send", "read").post(f"/deliveries/{three}/confirm"), 403)
    refused(host.post(f"/deliveries/{three}/confirm"), 404)
    assert done(host.post(f"/deliveries/{own}/confirm"))["organization"] is None
    there = host.post(f"/organizations/acme/deliveries/{three}/confirm")
    assert done(there)["state"] == "accepted"


def test_who_can_look_into_the_servers_log_finds_the_message_id_beside_the_mail(
    app: Flask, cast: Cast
) -> None:
    ids = [*lost(app, cast.acme, "Disk full"), *lost(app, cast.globex, "Disk full")]
    with app.app_context():
        by_host, by_own = [db.session.get_one(Delivery, one) for one in ids]
        by_host.level, by_own.level = Level.HOST, Level.ORGANIZATION
        by_host.server = by_own.server = "relay.test"
        db.session.commit()
        message_ids = [by_host.message_id, by_own.message_id]
    for person, path, seen in (
        (cast.rita, "/host/records/unknown", message_ids),
        (cast.carol, "/organizations/globex/records/unknown", message_ids[1:]),
        (cast.alice, f"{ACME}/unknown", []),
    ):
        visit = Browser(app)
        visit.sign_in(person)
        page = visit.open(path)
        assert [one for one in message_ids if one in page.text] == seen, path
