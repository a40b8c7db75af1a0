"""Components as pages get them: sound markup, what was typed kept, secrets never, words for all."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from flask import Flask, render_template_string, url_for
from markupsafe import Markup

from portal import clock, kinds, resources
from portal.delivery.models import Level, State
from portal.identity.models import Role
from portal.notifications.models import ApprovalState, Severity
from portal.notifications.recipients import LeftOutReason
from portal.settings.effective import NoSenderReason
from portal.smtp.causes import Cause
from portal.smtp.values import Encryption, Phase
from portal.web import navigation, presentation, words
from tests import page_rules
from tests.portal.web.gallery import app as gallery

FIRST_LOAD = ("vendor/tabler.min.css", "gatepost.css", "icons.svg", "js/gatepost.js", "favicon.svg")


@pytest.fixture
def app() -> Flask:
    return gallery.create_app()


@pytest.mark.parametrize(
    "path", [*(f"/show/{page}" for page in gallery.PAGES), "/error/403", "/error/404", "/error/500"]
)
def test_every_page_of_the_gallery_is_sound(app: Flask, path: str) -> None:
    response = app.test_client().get(path)
    assert page_rules.broken(app, response, page_rules.parse(response)) == []


def test_the_title_names_the_object_then_the_place_then_the_product(app: Flask) -> None:
    page = app.test_client().get("/show/mail-settings").text
    assert "<title>Mail settings · Globex · Gatepost</title>" in page


def test_a_password_is_never_written_into_a_page(app: Flask) -> None:
    source = "{% from 'components/forms.html' import field %}{{ field(form.secret) }}"
    with app.test_request_context(method="POST", data={"secret": "canary-7261"}):
        page = render_template_string(source, form=gallery.SenderForm())
    assert "canary-7261" not in page
    assert 'autocomplete="new-password"' in page


def test_a_field_keeps_what_was_typed_and_names_its_error(app: Flask) -> None:
    source = "{% from 'components/forms.html' import field %}{{ field(form.server, hint='Help.') }}"
    with app.test_request_context(method="POST", data={"server": '"><script>'}):
        form = gallery.SenderForm()
        form.server.errors = ["Enter an SMTP server."]
        page = render_template_string(source, form=form)
    assert 'value="&#34;&gt;&lt;script&gt;"' in page
    assert 'aria-describedby="server-error server-hint"' in page
    assert 'aria-invalid="true"' in page
    assert "Enter an SMTP server." in page


def test_an_optional_field_says_so_in_words(app: Flask) -> None:
    source = "{% from 'components/forms.html' import field %}{{ field(form.reply_to) }}"
    with app.test_request_context():
        assert "optional</span>" in render_template_string(source, form=gallery.SenderForm())


def test_the_error_summary_links_to_each_field(app: Flask) -> None:
    page = app.test_client().get("/show/sender").text
    assert '<a href="#server">SMTP server: Enter an SMTP server' in page
    assert '<a href="#secret">Password or authorization code: Refused' in page


def test_no_error_summary_without_errors(app: Flask) -> None:
    source = "{% from 'components/forms.html' import error_summary %}[{{ error_summary(form) }}]"
    with app.test_request_context():
        assert render_template_string(source, form=gallery.SenderForm()) == "[]"


def test_an_inherited_value_can_be_reset_only_where_it_is_overridden(app: Flask) -> None:
    page = app.test_client().get("/show/mail-settings").text
    assert 'name="reset" value="display_name"' in page
    assert 'name="reset" value="reply_to"' not in page
    assert "Applies now: <b>none: replies go to the From address</b>" in page


def test_a_secret_that_is_not_stored_cannot_be_kept_or_cleared(app: Flask) -> None:
    source = (
        "{% from 'components/inherit.html' import secret_control %}"
        "{{ secret_control(form.secret, form.secret_act, stored=stored) }}"
    )
    with app.test_request_context():
        empty = render_template_string(source, form=gallery.SenderForm(), stored=None)
        stored = render_template_string(source, form=gallery.SenderForm(), stored="set today")
    assert re.findall(r'value="(keep|replace|clear)"', empty) == ["replace"]
    assert re.findall(r'value="(keep|replace|clear)"', stored) == ["keep", "replace", "clear"]
    assert re.search(r'value="keep"[^>]* checked', stored)


def test_a_reply_of_a_server_is_text_never_markup(app: Flask) -> None:
    page = app.test_client().get("/show/sender").text
    assert "535 &lt;b&gt;Error&lt;/b&gt;: authentication failed" in page


def test_a_report_says_what_failed_and_what_was_not_reached(app: Flask) -> None:
    page = app.test_client().get("/show/sender").text
    assert "Failed: Sign-in" in page
    assert page.count("not reached") == 1
    assert "The server refuses this user name or password." in page
    assert 'value="starttls:587:"' in page


def test_a_time_is_local_and_tells_utc(app: Flask) -> None:
    source = "{% from 'components/time.html' import moment %}{{ moment(at) }}|{{ moment(none) }}"
    with app.test_request_context():
        page = render_template_string(source, at=gallery.AT)
    assert page == (
        '<time datetime="2026-11-20T06:31:58Z" title="2026-11-20 06:31:58 UTC">'
        '20 Nov 2026, 14:31</time>|<span class="gp-faint">never</span>'
    )


def test_a_naive_time_counts_as_utc() -> None:
    assert presentation.iso(datetime(2026, 11, 20, 6, 31, 58)) == "2026-11-20T06:31:58Z"
    assert presentation.utc(datetime(2026, 11, 20, 6, 31, 58)) == "2026-11-20 06:31:58 UTC"


def test_ago_is_in_words(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "utcnow", lambda: datetime(2026, 11, 20, 6, 33, 58, tzinfo=UTC))
    with app.test_request_context():
        assert presentation.ago(gallery.AT) == "2 minutes ago"


@pytest.mark.parametrize(
    ("milliseconds", "words_for_it"),
    [(None, "–"), (12.4, "12 ms"), (1240, "1.2 s"), (240_000, "4 min"), (19_200_000, "5 h 20 min")],
)
def test_a_duration_has_its_unit(app: Flask, milliseconds: float | None, words_for_it: str) -> None:
    with app.test_request_context():
        assert presentation.duration(milliseconds) == words_for_it


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Carol Reyes", "CR"), ("Globex", "Gl"), ("ops-night@globex.example", "ON"), ("", "?")],
)
def test_initials_stand_for_a_name(name: str, letters: str) -> None:
    assert presentation.initials(name) == letters


def test_every_state_has_its_own_words() -> None:
    assert set(State) <= set(words.DELIVERY_STATES)
    assert set(Role) <= set(words.ROLES)
    assert set(Severity) <= set(words.SEVERITIES)
    assert set(ApprovalState) <= set(words.APPROVAL_STATES)
    assert set(Phase) <= set(words.PHASES)
    assert set(Level) <= set(words.LEVELS)
    assert set(Encryption) <= set(words.ENCRYPTIONS)
    assert set(kinds.Category) <= set(words.CATEGORIES)


def test_every_reason_has_plain_words() -> None:
    assert {*Cause, *NoSenderReason, *LeftOutReason} <= set(words.REASONS)


def test_every_kind_is_named_as_in_the_registry(app: Flask) -> None:
    with app.test_request_context():
        named = {key: words.kind_name(key) for key in kinds.BY_KEY}
    assert named == {key: kind.name for key, kind in kinds.BY_KEY.items()}


@pytest.mark.parametrize(
    ("code", "enhanced", "reply", "said"),
    [
        (550, "5.1.1", "5.1.1 no such user", "550 5.1.1 no such user"),
        (550, "5.1.1", "550 5.1.1 no such user", "550 5.1.1 no such user"),
        (550, "5.1.1", "no such user", "550 5.1.1 no such user"),
        (450, None, "450 busy", "450 busy"),
        (421, None, None, "421"),
        (None, None, None, ""),
    ],
)
def test_an_answer_of_a_server_holds_each_code_once(
    code: int | None, enhanced: str | None, reply: str | None, said: str
) -> None:
    assert words.server_said(code, enhanced, reply) == said


def test_an_unknown_slug_is_shown_as_words(app: Flask) -> None:
    with app.test_request_context():
        assert words.word(words.REASONS, "moon_in_the_way") == "Moon in the way"
        assert words.word(words.REASONS, None) == ""
        assert words.state_chip(words.HEALTH, "asleep").word == "Asleep"


def test_every_icon_that_is_used_is_in_the_sprite(app: Flask) -> None:
    sprite = (resources.folder("static") / "icons.svg").read_text(encoding="utf-8")
    drawn = set(re.findall(r'id="i-([a-z0-9-]+)"', sprite))
    chips = [
        chip
        for table in (words.DELIVERY_STATES, words.HEALTH, words.ROLES, words.SEVERITIES,
                      words.ALERT_STATUSES, words.APPROVAL_STATES)
        for chip in table.values()
    ]  # fmt: skip
    asked = {chip.icon for chip in chips}
    for page in resources.folder("templates").rglob("*.html"):
        asked |= set(re.findall(r"\bicon\(\"([a-z0-9-]+)\"", page.read_text(encoding="utf-8")))
    with app.test_request_context():
        groups = (*gallery.shell(None)["navigation"],)
        asked |= {item.icon for group in groups for item in group.items}
    assert asked <= drawn


def test_the_first_load_stays_small(app: Flask) -> None:
    files = sum((resources.folder("static") / name).stat().st_size for name in FIRST_LOAD)
    page = max(len(app.test_client().get(f"/show/{name}").data) for name in gallery.PAGES)
    assert files + page < 200_000
    assert page < 30_000


def test_navigation_marks_the_current_page_and_its_children(app: Flask) -> None:
    with app.test_request_context():
        for endpoint in ("organization.senders", "organization.sender", "organization.sender_test"):
            groups = navigation.organization_navigation(url_for, endpoint, "globex", _anything)
            assert _current(groups) == ["Senders"]


def test_navigation_leaves_out_what_is_not_allowed_or_not_there(app: Flask) -> None:
    with app.test_request_context():
        groups = navigation.organization_navigation(
            url_for, None, "globex", lambda endpoint: endpoint != "organization.senders"
        )
        labels = [item.label for group in groups for item in group.items]
        assert "Members" in labels
        assert "Senders" not in labels
        assert navigation.host_navigation(url_for, None) == ()
        assert [group.label for group in navigation.me_navigation(url_for, None)] == [None]


def test_the_trail_is_the_place_and_the_page(app: Flask) -> None:
    with app.test_request_context():
        trail = gallery.shell("organization.members")["breadcrumb"]
    assert [crumb.label for crumb in trail] == ["Globex", "Members"]


def test_flashed_words_are_escaped(app: Flask) -> None:
    source = "{% from 'components/shell.html' import flashes %}{{ flashes(said) }}"
    with app.test_request_context():
        page = render_template_string(source, said=[("error", "<b>no</b>"), ("success", "Saved")])
    assert "&lt;b&gt;no&lt;/b&gt;" in page
    assert page.count('role="alert"') == 1


def test_a_pager_offers_only_pages_that_exist(app: Flask) -> None:
    source = "{% from 'components/tables.html' import pager %}{{ pager(none, '/?after=9') }}"
    with app.test_request_context():
        page = render_template_string(source)
    assert re.findall(r'rel="(\w+)"', page) == ["next"]


def test_a_value_in_a_translated_sentence_is_escaped(app: Flask) -> None:
    source = (
        "{% from 'components/inherit.html' import inherit_field %}"
        "{{ inherit_field(form.reply_to, 'host', value) }}"
    )
    with app.test_request_context():
        page = render_template_string(source, form=gallery.SettingsForm(), value="<i>x</i>")
    assert "<b>&lt;i&gt;x&lt;/i&gt;</b>" in page


def test_markup_of_another_component_stands_in_facts(app: Flask) -> None:
    source = "{% from 'components/panels.html' import facts %}{{ facts(items) }}"
    with app.test_request_context():
        page = render_template_string(source, items=[("A", Markup("<b>1</b>")), ("B", "<b>2</b>")])
    assert "<dd><b>1</b></dd>" in page
    assert "<dd>&lt;b&gt;2&lt;/b&gt;</dd>" in page


def test_a_report_without_failure_is_passed(app: Flask) -> None:
    source = "{% from 'components/report.html' import test_report %}{{ test_report(report) }}"
    report = replace(gallery.failed_report(), passed=True, sent=True, steps=(), failure=None)
    with app.test_request_context():
        page = render_template_string(source, report=report)
    assert "Passed" in page
    assert "A test mail was sent." in page


def _current(groups: tuple[navigation.NavGroup, ...]) -> list[str]:
    return [item.label for group in groups for item in group.items if item.current]


def _anything(_endpoint: str) -> bool:
    return True
