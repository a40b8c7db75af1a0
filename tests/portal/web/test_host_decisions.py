"""What the host decides about an organization, and what a person is told before it counts."""

import pytest
from flask import Flask
from sqlalchemy import select

from portal.audit.log import OPERATOR
from portal.audit.models import AuditEntry
from portal.clock import utcnow
from portal.delivery import outbox
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity import organizations
from portal.identity.models import Organization
from portal.kinds import BY_KEY
from portal.settings import changes, effective, senders
from portal.settings.models import MailSettings
from portal.settings.scope import HOST, Scope
from portal.settings.sender_rules import VALUE_KEYS
from portal.web import words
from tests.browser import Browser
from tests.cast import Cast, Tenant
from tests.delivering import ALERT
from tests.portal.web.senders import scope_of

GLOBEX = "/host/organizations/globex"


def limits_of(app: Flask, tenant: Tenant) -> tuple[bool, bool, int | None]:
    with app.app_context():
        row: MailSettings = effective.settings_of(scope_of(tenant))
        return row.own_senders_allowed, row.fallback_allowed, row.daily_cap


def mail_for(app: Flask, tenant: Tenant) -> None:
    """One alert that waits."""
    with app.app_context():
        organization = db.session.get_one(Organization, tenant.id)
        outbox.enqueue(
            organization, BY_KEY["alert.raised"], data=ALERT, addressees=[Addressee("a@x.test")]
        )
        db.session.commit()


def test_limits_are_set_with_a_word_on_what_they_do_and_audited(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    mail_for(app, cast.globex)
    visit.sign_in(cast.rita)
    page = visit.open(GLOBEX).follow("Modify limits")
    assert "Globex sends by its own senders now. Forbid them, and its mail is held" in page.text
    assert "1 message is waiting now; it would be held too." in page.text
    assert "Globex has not switched fallback on." in page.text
    page = page.submit(
        {"own_senders_allowed": False, "Fallback is allowed": False, "daily_cap": "500"},
        button="Save limits",
    )
    assert "The limits are saved." in page.text and "500 messages a day" in page.text
    assert "Own senders, not allowed" in page.text
    assert limits_of(app, cast.globex) == (False, False, 500)
    assert "1 message is waiting; allow own senders" in page.follow("Modify limits").text
    with app.app_context():
        entry = db.session.scalars(
            select(AuditEntry).where(
                AuditEntry.organization_id == cast.globex.id,
                AuditEntry.action == "mail_settings.changed",
                AuditEntry.actor_id == str(cast.rita.id),
            )
        ).one()
        assert set(entry.changes) == {"own_senders_allowed", "fallback_allowed", "daily_cap"}


def test_limits_are_refused_by_field_and_do_not_overwrite_each_other(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    visit.sign_in(cast.rita)
    page = visit.open(f"{GLOBEX}/limits")
    wrong = page.submit({"daily_cap": "many"}, button="Save limits", status=422)
    assert wrong.errors[0].startswith("Daily cap on the platform’s sender:")
    visit.open(f"{GLOBEX}/limits").submit({"daily_cap": "7"}, button="Save limits")
    late = page.submit({"daily_cap": "9"}, button="Save limits", status=409)
    assert "Changed meanwhile" in late.text and limits_of(app, cast.globex) == (True, True, 7)


def test_suspending_states_what_happens_is_shown_and_ends(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    mail_for(app, cast.globex)
    visit.sign_in(cast.rita)
    page = visit.open(GLOBEX).follow("Suspend")
    assert "1 message is waiting; it will be held." in page.text
    assert "2 people still sign in" in page.text and "password recovery" in page.text
    page = page.submit(button="Suspend the organization")
    assert "Globex is suspended." in page.text
    assert "Suspended" in visit.open("/host/organizations").text
    assert visit.open(f"{GLOBEX}/suspend").path == GLOBEX

    page = visit.open(GLOBEX).follow("Resume")
    assert "1 message is waiting; it leaves at once" in page.text
    page = page.submit(button="Resume the organization")
    assert "Globex is active again" in page.text
    with app.app_context():
        organization = db.session.get_one(Organization, cast.globex.id)
        assert effective.default_sender(Scope.of(organization)) == effective.choose(organization)


def test_before_a_change_of_the_hosts_senders_the_affected_are_named(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with app.app_context():
        host = effective.default_sender(HOST)
        assert host is not None
        default = f"/host/senders/{host.id}"
        values = effective.values_of(host.versions[-1])
        spare = {key: getattr(values, key) for key in VALUE_KEYS}
        senders.save(HOST, "spare", spare, secret=senders.Clear(), actor=OPERATOR, activate=True)
        db.session.commit()
    visit.sign_in(cast.rita)
    for path, said in (
        ("/host/mail-settings/edit", "1 organization will use this from the next message"),
        (f"{default}/edit", "1 organization will use this from the next message"),
        (default, "Disabled or deleted: mail of 1 organization is held"),
        (f"{default}/delete", "The organizations whose mail is held"),
        ("/host/senders", "Another default: 1 organization will use it"),
    ):
        page = visit.open(path)
        assert said in page.text and "Acme" in page.text, path
    page = visit.open("/host/senders").follow("spare")
    assert "Made the default: 1 organization will use this" in page.text
    assert "will use this" not in visit.open(f"{page.path}/edit").text
    own = visit.open(GLOBEX)
    assert own.heading.startswith("Globex")


def test_who_uses_the_hosts_senders_is_told_by_number_and_by_name(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with app.app_context():
        acme, globex = (
            db.session.get_one(Organization, one.id) for one in (cast.acme, cast.globex)
        )
        own = effective.default_sender(Scope.of(globex))
        assert own is not None
        own.consecutive_failures = 3
        organizations.suspend(acme, actor=OPERATOR)
        db.session.commit()
    visit.sign_in(cast.rita)
    for path in ("/host/mail-settings", "/host/senders"):
        page = visit.open(path)
        said = "Used by 0 organizations, overridden by 1, off at 1, failing at 1."
        assert said in page.text and "Suspended" in page.text
        assert "Their own default sender fails now." in page.text
    assert (
        "No organization uses the platform’s senders" in visit.open("/host/mail-settings/edit").text
    )


def failing(app: Flask, tenant: Tenant | None, cause: str) -> None:
    with app.app_context():
        sender = effective.default_sender(scope_of(tenant))
        assert sender is not None
        sender.consecutive_failures, sender.last_failure_cause = 3, cause
        sender.failing_since_at = sender.next_probe_at = utcnow()
        db.session.commit()


def test_every_page_names_a_failing_sender_to_those_who_can_repair_it(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    failing(app, cast.globex, "auth_refused")
    failing(app, None, "forbidden_destination")
    said = "Sender main fails and is paused; its mail waits. Sign-in refused. Since"
    visit.sign_in(cast.carol)
    page = visit.open("/organizations/globex/members")
    assert said in page.text
    assert page.follow("Look at the sender main").heading == "Sender main"
    visit = Browser(app)
    visit.sign_in(cast.dave)
    assert "fails and is paused" not in visit.open("/organizations/globex/alerts").text
    visit = Browser(app)
    visit.sign_in(cast.alice)
    assert "fails and is paused" not in visit.open("/organizations/acme/members").text
    visit = Browser(app)
    visit.sign_in(cast.rita)
    page = visit.open("/host/audit")
    assert "Sender platform fails and is paused" in page.text
    assert "The host does not allow this destination." in page.text
    assert "Sender main" not in page.text


@pytest.mark.parametrize("cause", ["forbidden_destination", "connect_refused", "connect_timeout"])
def test_an_organization_cannot_tell_a_closed_port_from_a_forbidden_one(
    app: Flask, visit: Browser, cast: Cast, cause: str
) -> None:
    failing(app, cast.globex, cause)
    visit.sign_in(cast.carol)
    senders_page = visit.open("/organizations/globex/senders")
    for page in (visit.open("/organizations/globex/mail-settings"), senders_page):
        assert "The server cannot be reached from here" in page.text
        assert str(words.REASONS[cause]) not in page.text
    page = senders_page.follow("main")
    assert "The server cannot be reached from here" in page.text
    assert str(words.REASONS[cause]) not in page.text


def test_everybody_of_a_suspended_organization_is_told(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with app.app_context():
        organizations.suspend(db.session.get_one(Organization, cast.globex.id), actor=OPERATOR)
        db.session.commit()
    visit.sign_in(cast.dave)
    assert "Globex is suspended by the platform" in visit.open("/organizations/globex/alerts").text
    assert "is suspended" not in visit.open("/organizations/acme/alerts").text
    visit = Browser(app)
    visit.sign_in(cast.carol)
    page = visit.open("/organizations/globex/overview")
    assert "Its mail waits." in page.text and "Set up a" not in page.text


def test_with_own_senders_the_name_is_said_to_come_from_the_sender(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    visit.sign_in(cast.carol)
    page = visit.open("/organizations/globex/mail-settings")
    assert "Display name from the sender Globex Alerts" in page.text
    assert "Fallback is off: when none of these can accept" in page.text
    page = visit.open("/organizations/globex/mail-settings/edit")
    page = page.submit({"Display name": "Globex Ops"}, button="Save mail settings")
    assert "The sender’s: Globex Alerts" in page.text
    assert "Reset to the sender’s" in visit.open("/organizations/globex/mail-settings/edit").text
    visit = Browser(app)
    visit.sign_in(cast.alice)
    page = visit.open("/organizations/acme/mail-settings")
    assert "Display name from the platform Acme (via" in page.text


def test_fallback_is_switched_where_the_host_allows_it_and_explained_where_not(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    visit.sign_in(cast.carol)
    edit = "/organizations/globex/mail-settings/edit"
    page = visit.open(edit).submit({"fallback": True}, button="Save mail settings")
    assert "Fallback is on. When none of these can accept" in page.text
    with app.app_context():
        changes.save_mail_settings(
            scope_of(cast.globex), {"fallback_allowed": False}, actor=OPERATOR
        )
        db.session.commit()
    page = visit.open(edit)
    assert "Fallback is not allowed" in page.text and 'name="fallback"' not in page.response.text
    assert "Fallback is not allowed" in visit.open("/organizations/globex/mail-settings").text
