"""Mail settings of the host and of organizations, and what a sender's buttons do."""

import re
import uuid

import pytest
from flask import Flask

from portal.audit.log import OPERATOR
from portal.extensions import db
from portal.settings import changes, effective, senders
from portal.settings.models import MailSettings, Mode, VersionState
from portal.settings.senders import Keep
from tests.browser import Browser
from tests.cast import Cast, Tenant
from tests.portal.web.senders import found, path_of, scope_of

HOST = "/host/mail-settings"
ACME, GLOBEX = "/organizations/acme/mail-settings", "/organizations/globex/mail-settings"


def settings(app: Flask, tenant: Tenant | None) -> MailSettings:
    with app.app_context():
        row = effective.settings_of(scope_of(tenant))
        db.session.expunge_all()
        return row


def change(app: Flask, tenant: Tenant | None, **values: object) -> None:
    with app.app_context():
        changes.save_mail_settings(scope_of(tenant), values, actor=OPERATOR)
        db.session.commit()


def test_the_host_reads_first_then_modifies(app: Flask, visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.rita)
    page = visit.open(HOST)
    assert "Mail of the platform goes through 127.0.0.1:9 as" in page.text
    assert "Used by 1 organization, overridden by 1, off at 0, failing at 0." in page.text

    page = page.follow("Modify")
    assert "1 organization will use this from the next message." in page.text
    page = page.submit(
        {
            "Display name": "Acme Cloud",
            "Title prefix": "[Acme Cloud]",
            "Language": "简体中文",
            "Footer": "Acme Cloud\nHarbour Road 5",
            "Keep records": "400",
            "Daily cap": "5000",
            "Allowed destinations": "10.20.0.0/16:25,465\n\nrelay.acme.local:25",
        },
        button="Save mail settings",
    )

    assert "They apply from the next message" in page.text
    assert "relay.acme.local:25" in page.text
    assert "5000 messages a day" in page.text
    row = settings(app, None)
    assert row.daily_cap == 5000
    assert (row.display_name, row.language, row.retention_days) == ("Acme Cloud", "zh", 400)
    assert row.allowed_destinations == ["10.20.0.0/16:25,465", "relay.acme.local:25"]


def test_what_is_wrong_in_both_parts_of_the_hosts_form_is_told_at_once(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    visit.sign_in(cast.rita)
    page = visit.open(f"{HOST}/edit").submit(
        {
            "Keep records": "ever",
            "Daily cap": "-1",
            "Allowed destinations": "anywhere",
            "Title prefix": "[kept]",
        },
        button="Save mail settings",
        status=422,
    )
    assert [error.partition(":")[0] for error in page.errors] == [
        "Keep records",
        "Daily cap",
        "Allowed destinations",
    ]
    assert page.form("Save mail settings").value("Title prefix") == "[kept]"
    assert settings(app, None).title_prefix is None


def test_switched_off_and_not_configured_are_said_in_a_sentence(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    visit.sign_in(cast.rita)
    change(app, None, enabled=False)
    assert "switched off" in visit.open(HOST).text
    change(app, None, enabled=True, default_sender=None)
    assert "no default sender" in visit.open(HOST).text


def test_an_organization_that_inherits_never_sees_the_hosts_server(
    visit: Browser, cast: Cast
) -> None:
    visit.sign_in(cast.alice)
    for path in (ACME, f"{ACME}/edit", "/organizations/acme/senders"):
        page = visit.open(path)
        assert "the platform’s server as Acme (via" in page.text
        assert "127.0.0.1" not in page.response.text


def test_identity_is_set_field_by_field_and_reset(app: Flask, visit: Browser, cast: Cast) -> None:
    change(app, None, title_prefix="[Acme Cloud]")
    visit.sign_in(cast.alice)
    page = visit.open(f"{ACME}/edit")
    assert "Applies now: [Acme Cloud]" in page.text
    page = page.submit({"Title prefix": "[Acme]", "Language": "zh"}, button="Save mail settings")
    assert "2 of 8 are set here" in page.text

    form = visit.open(f"{ACME}/edit").form("title_prefix")
    form.fill({"Footer": "typed, not saved"})
    page = visit.send(f"{ACME}/edit", form.data)

    assert "Title prefix is the platform’s again" in page.text
    assert page.form("Save mail settings").value("Footer") == "typed, not saved"
    assert settings(app, cast.acme).title_prefix is None
    assert settings(app, cast.acme).language == "zh"
    assert settings(app, cast.acme).footer is None


def test_mail_off_says_what_stops_and_remembers_the_mode_before(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    visit.sign_in(cast.carol)
    page = visit.open(f"{GLOBEX}/edit")
    assert re.search(
        r"Stops \d+ kinds for 2 members\. Alerts and approvals stay on their pages here\.",
        page.text,
    )
    page = page.submit({"mode": "off"}, button="Save mail settings")
    assert "Before it was switched off: Own senders." in page.text

    page = page.submit(button="Switch mail on again")

    assert "goes through its own server 127.0.0.1:9" in page.text
    assert settings(app, cast.globex).mode is Mode.OWN


def test_what_the_host_locks_is_explained_and_not_offered(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    change(app, cast.acme, own_senders_allowed=False)
    visit.sign_in(cast.alice)
    page = visit.open(f"{ACME}/edit")
    assert "ask a system administrator" in page.text
    assert "Add the first sender" not in visit.open(ACME).text
    assert "does not allow own senders" in visit.open("/organizations/acme/senders").text
    answer = visit.open("/organizations/acme/senders/new")
    assert answer.heading == "Senders"
    form = page.form("Save mail settings")
    form.data["mode"] = "own"
    answer = visit.send(f"{ACME}/edit", form.data, status=422)
    assert any("ask a system administrator" in error for error in answer.errors)


def test_a_forbidden_sender_stays_visible_and_is_neither_tested_nor_activated(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with app.app_context():
        values = {"display_name": "N", "from_address": "n@globex.test", "server": "n.globex.test"}
        scope = scope_of(cast.globex)
        senders.save(scope, "news", values, secret=Keep(), actor=OPERATOR, activate=False)
        db.session.commit()
    path = path_of(app, cast.globex, "news")
    visit.sign_in(cast.carol)
    typed = visit.open(f"{path}/edit").form("save").data
    change(app, cast.globex, own_senders_allowed=False)

    for act in ("check", "send", "save"):
        assert visit.send(f"{path}/edit", typed | {"act": act}).heading == "Senders"
    page = visit.send(f"{path}/activate", typed)
    assert "does not allow own senders here" in page.text
    page = visit.send(f"{path}/disable", typed)
    assert "news is disabled" in page.text
    assert "does not allow own senders here" in visit.send(f"{path}/enable", typed).text

    with app.app_context():
        sender = found(cast.globex, "news")
        assert sender is not None and not sender.enabled
        assert effective.version_of(sender, VersionState.ACTIVE) is None
    visit.open(f"{path}/delete").submit(button="Delete sender")
    with app.app_context():
        assert found(cast.globex, "news") is None


@pytest.mark.parametrize("is_host", [True, False])
def test_two_people_who_save_settings_at_once_do_not_overwrite_each_other(
    app: Flask, visit: Browser, cast: Cast, is_host: bool
) -> None:
    path = f"{HOST if is_host else GLOBEX}/edit"
    visit.sign_in(cast.rita if is_host else cast.carol)
    mine = visit.open(path)
    visit.open(path).submit({"Title prefix": "[theirs]"}, button="Save mail settings")

    page = mine.submit({"Title prefix": "[mine]"}, button="Save mail settings", status=409)

    assert "saved this" in page.text
    assert "Title prefix" in page.text
    assert page.form("Save mail settings").value("Title prefix") == "[mine]"
    tenant = None if is_host else cast.globex
    assert settings(app, tenant).title_prefix == "[theirs]"
    page.submit(button="Save mail settings")
    assert settings(app, tenant).title_prefix == "[mine]"


def test_the_first_sender_leads_from_the_empty_page_to_own_senders(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    visit.sign_in(cast.alice)
    page = visit.open(ACME).follow("Add the first sender")
    page = page.submit(
        {
            "name": "main",
            "From address": "alerts@acme.test",
            "Display name": "Acme",
            "SMTP server": "smtp.acme.test",
            "Authentication": "none",
        },
        button="Save as draft",
    )
    assert "not active" in page.text
    with app.app_context():
        sender = found(cast.acme, "main")
        assert sender is not None
        sender.versions[0].state = VersionState.ACTIVE
        db.session.commit()
    page = visit.open(page.path)
    assert "Mail of Acme still goes by the platform." in page.text
    page = page.submit(button="Send through own senders from now on")
    assert "through its own server smtp.acme.test:587 as Acme <alerts@acme.test>" in page.text


def test_a_sender_is_disabled_enabled_and_deleted_with_a_word_on_what_happens(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    path = path_of(app, cast.globex, "main")
    visit.sign_in(cast.carol)
    page = visit.open(path).submit(button="Disable")
    assert "no mail goes by it" in page.text
    assert "has no default sender" in visit.open(GLOBEX).text
    page.submit(button="Enable")

    page = visit.open(path).follow("Delete")
    assert "Mail of Globex is held until another default is set" in page.text
    page = page.submit(button="Delete sender")

    assert "are deleted" in page.text
    assert "No sender of your own yet" in page.text
    with app.app_context():
        assert effective.default_sender(scope_of(cast.globex)) is None


def test_a_sender_that_cannot_send_is_not_made_the_default_by_an_administrator(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    values = {
        "display_name": "News",
        "from_address": "news@globex.test",
        "server": "smtp.globex.test",
        "authentication": "none",
    }
    with app.app_context():
        scope = scope_of(cast.globex)
        senders.save(scope, "news", values, secret=Keep(), actor=OPERATOR, activate=False)
        db.session.commit()
    path = path_of(app, cast.globex, "news")
    visit.sign_in(cast.carol)
    token = {"csrf_token": visit.open(path).form("Disable").data["csrf_token"]}
    page = visit.send(f"{path}/default", token)
    assert "news is not active: test it first, then make it the default." in page.text
    page = visit.open(f"{GLOBEX}/edit")
    page = page.submit({"Default sender": "news"}, button="Save mail settings", status=422)
    assert "test it first" in page.errors[0]
    with app.app_context():
        default = effective.default_sender(scope_of(cast.globex))
        assert default is not None and default.name == "main"


@pytest.mark.parametrize("act", ["", "/edit", "/delete"])
def test_a_sender_of_somebody_else_is_like_one_that_is_not_there(
    app: Flask, visit: Browser, cast: Cast, act: str
) -> None:
    theirs = path_of(app, cast.globex, "main").rpartition("/")[2]
    hosts = path_of(app, None, "platform").rpartition("/")[2]
    visit.sign_in(cast.alice)
    answers = {
        visit.open(f"/organizations/acme/senders/{sender_id}{act}", status=404).text
        for sender_id in (theirs, hosts, uuid.uuid4())
    }
    assert len(answers) == 1
    visit.open(f"/organizations/globex/senders/{theirs}{act}", status=404)


def test_a_member_is_told_who_may(app: Flask, visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.bob)
    page = visit.open(ACME, status=403)
    assert "Alice Ames" in page.text


def test_an_accent_colour_is_judged_before_it_is_saved(visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.alice)
    page = visit.open(f"{ACME}/edit")
    page = page.submit({"Accent colour": "#ffcc00"}, button="Save mail settings", status=422)
    assert "hard to read: the contrast is 1.5 to 1" in page.errors[0]
    page = page.submit({"Accent colour": "#1D4ED8"}, button="Save mail settings")
    assert "#1d4ed8" in page.text
