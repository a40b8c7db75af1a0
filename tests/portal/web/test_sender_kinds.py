"""Which kinds of mail a sender carries before the default one, on its form and its page."""

from flask import Flask

from tests.browser import Browser
from tests.cast import Cast
from tests.page_rules import text_of
from tests.portal.web.senders import CANARY, found, login_server, store, typed_for


def test_kinds_that_a_sender_carries_are_ticked_on_its_page_and_can_all_be_unticked(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with login_server() as server:
        path = store(app, cast.globex, typed_for(server), CANARY) + "/edit"
    visit.sign_in(cast.carol)
    groups = visit.open(path).root.query("fieldset")[-4:]
    assert [text_of(group.query("legend")[0]) for group in groups][1:] == [
        "Alerts",
        "Approvals",
        "About mail itself",
    ]
    assert [text_of(label) for label in groups[1].query("label")] == [
        "All of “Alerts”, kinds to come too",
        "Alert raised",
    ]
    page = visit.open(path).submit({"kinds": ["alert", "approval.requested"]}, button="Save sender")
    assert "Carries first Alerts, Approval requested" in page.text
    assert kinds_of(app, cast) == ["alert", "approval.requested"]
    visit.open(path).submit({"display_name": "Other"}, button="Save sender")
    assert kinds_of(app, cast) == ["alert", "approval.requested"]
    visit.open(path).submit({"kinds": []}, button="Save sender")
    assert kinds_of(app, cast) == []


def kinds_of(app: Flask, cast: Cast) -> list[str]:
    with app.app_context():
        sender = found(cast.globex, "new")
        assert sender is not None
        return sender.kinds
