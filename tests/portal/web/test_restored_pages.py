"""Mail that is held since a backup was restored: its record says so, a button lets it go."""

from flask import Flask
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.delivery import restoring
from portal.delivery.models import Delivery, State
from portal.extensions import db
from tests.browser import Browser
from tests.cast import Cast
from tests.page_rules import text_of
from tests.portal.records.records import told

BUTTON = "Send them, copies are possible"


def test_a_system_administrator_sends_what_is_held_since_a_restore(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with app.app_context():
        mails = [told(tenant, "Disk full")[0].id for tenant in (cast.acme, cast.acme, cast.globex)]
        restoring.hold_waiting()
        db.session.commit()
    visit.sign_in(cast.alice)
    inside = visit.open(f"/organizations/acme/records/{mails[0]}")
    said = text_of(inside.root.query(".gp-fact-say")[0])
    assert "a backup was made that was restored since" in said
    assert said.endswith("A system administrator can send it.")
    assert "portal send-restored" not in inside.text and "Encryption" not in inside.text
    assert BUTTON not in visit.open("/organizations/acme/records?state=held").text

    rita = Browser(app)
    rita.sign_in(cast.rita)
    assert BUTTON not in rita.open("/host/records").text
    assert "3 mails of the whole host are held" in rita.open("/host/records?state=held").text
    page = rita.open(f"/host/records/{mails[0]}")
    assert "portal send-restored" in page.text
    page = page.follow("Mail held since the restore")
    assert "2 mails of Acme are held" in page.text and "copies are possible" in page.text
    page = rita.send("/host/records/send-restored", page.form(BUTTON).data)
    assert "2 mails leave now, marked as possible copies." in page.text
    with app.app_context():
        found = [db.session.get_one(Delivery, one) for one in mails]
        assert [row.state for row in found] == [State.QUEUED, State.QUEUED, State.HELD]
        assert [row.may_be_duplicate for row in found] == [True, True, False]
        entry = db.session.scalars(
            select(AuditEntry).where(AuditEntry.action == "installation.restored_mail_sent")
        ).one()
        assert entry.organization_id == cast.acme.id
        assert entry.changes == {"mails": {"before": None, "after": 2}}
