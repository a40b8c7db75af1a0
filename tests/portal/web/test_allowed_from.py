"""The From addresses that a sender keeps, on its pages and over the API."""

import pytest
from flask import Flask

from portal.extensions import db
from portal.settings import senders
from portal.settings.scope import Scope
from tests.browser import Browser
from tests.cast import Cast
from tests.portal.web.api.calling import System, done
from tests.portal.web.api.conftest import globex, system
from tests.portal.web.senders import path_of

__all__ = ["globex", "system"]


def stored(app: Flask, cast: Cast) -> list[str]:
    with app.app_context():
        sender = senders.find(Scope(cast.globex.id), "main")
        assert sender is not None
        entries = list(sender.allowed_from)
        db.session.remove()
        return entries


def test_a_page_and_the_api_set_them_one_a_line(
    app: Flask, visit: Browser, cast: Cast, globex: System
) -> None:
    visit.sign_in(cast.carol)
    path = path_of(app, cast.globex, "main")
    assert "its own alone" in visit.open(path).text
    page = visit.open(f"{path}/edit").submit(
        {"Allowed From addresses": "Alerts@globex.test\n\nops.globex.test\n"}, button="Save sender"
    )
    assert "is saved and active" in page.text
    assert "Alerts@globex.test, @ops.globex.test" in page.text
    assert stored(app, cast) == ["Alerts@globex.test", "@ops.globex.test"]

    shown = visit.open(f"{path}/edit").form("Save sender").value("Allowed From addresses")
    assert (shown or "").split() == ["Alerts@globex.test", "@ops.globex.test"]
    assert done(globex.get("/senders/main"))["allowed_from"] == stored(app, cast)
    changed = done(globex.patch("/senders/main", {"allowed_from": None}))
    assert (changed["allowed_from"], changed["active"]) == ([], True)


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_wrong_one_is_named_and_what_was_typed_stays(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    visit.sign_in(cast.carol)
    page = visit.open(f"{path_of(app, cast.globex, 'main')}/edit").submit(
        {"Allowed From addresses": "a@globex.test\nno such"}, button="Save sender", status=422
    )
    assert "'no such' is neither an address nor a domain" in page.errors[0]
    assert "no such" in (page.form("Save sender").value("Allowed From addresses") or "")
    assert stored(app, cast) == []
