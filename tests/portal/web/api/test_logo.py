"""The logo over the API: set, read with its origin, and taken away again."""

import base64

from flask import Flask
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.extensions import db
from tests.images import JPEG, LOGO, png
from tests.portal.web.api.calling import System, done, refused


def given(content: bytes) -> dict[str, str]:
    return {"content": base64.b64encode(content).decode()}


def test_an_organization_inherits_sets_and_resets_its_logo(
    app: Flask, acme: System, globex: System, host: System
) -> None:
    refused(acme.get("/settings/logo"), 404)
    assert done(acme.get("/settings/mail"))["logo"] == {"value": None, "origin": "host"}

    shown = done(host.call("PUT", "/settings/logo", given(LOGO)))
    assert (shown["origin"], shown["format"], shown["width"], shown["height"]) == (
        *("host", "png"),
        *(48, 24),
    )
    assert done(acme.get("/settings/logo")) == shown
    own = done(acme.call("PUT", "/settings/logo", given(JPEG)))
    assert (own["origin"], own["format"]) == ("organization", "jpeg")
    assert base64.b64decode(done(acme.get("/settings/logo"))["content"]) == JPEG
    assert done(globex.get("/settings/logo")) == shown
    assert done(host.get("/organizations/acme/settings/logo")) == own
    value = done(acme.get("/settings/mail"))["logo"]
    assert value == {"value": f"jpeg-48x24-{own['sha256']}", "origin": "organization"}

    for _ in range(2):
        assert done(acme.call("DELETE", "/settings/logo"), 204) is None
    assert done(acme.get("/settings/logo")) == shown
    with app.app_context():
        changes = db.session.scalars(
            select(AuditEntry.changes).where(
                AuditEntry.object_type == "mail_settings", AuditEntry.organization_id.is_not(None)
            )
        ).all()
        assert [list(one) for one in changes if "logo" in one] == [["logo"], ["logo"]]


def test_what_is_no_image_is_refused_with_the_reason(acme: System) -> None:
    def told(content: object) -> str:
        return refused(acme.call("PUT", "/settings/logo", {"content": content}))["/content"]

    assert "base64" in told("not base64")
    assert "base64" in told("\u00fc")
    assert "SVG is refused" in told(given(b"<svg xmlns='x'></svg>")["content"])
    assert "1601 x 16" in told(given(png(1601, 16))["content"])
    assert "larger than 200 KB" in told(given(LOGO + bytes(300_000))["content"])
    assert "as text" in told(None)
    refused(acme.get("/settings/logo"), 404)


def test_the_settings_call_says_where_a_logo_is_set(acme: System) -> None:
    messages = refused(acme.patch("/settings/mail", {"logo": "png"}))
    assert messages == {"/logo": "A logo is an image: PUT /settings/logo."}
