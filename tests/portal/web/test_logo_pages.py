"""The pages of a logo: another one, the platform's again, and what every page shows of it."""

import io

import pytest
from flask import Flask

from portal.audit.log import OPERATOR
from portal.extensions import db
from portal.settings import effective, logos
from portal.settings.scope import HOST
from tests.browser import Browser, Page
from tests.cast import Cast, Tenant
from tests.images import JPEG, LOGO
from tests.portal.web.senders import scope_of

ACME = "/organizations/acme/mail-settings"


def upload(visit: Browser, path: str, content: bytes, *, status: int = 200) -> Page:
    data = visit.open(path).form("Save logo").data
    data.setlist("logo", [(io.BytesIO(content), "whatever.svg")])  # type: ignore[list-item]
    return visit.send(path, data, status=status)


def stored(app: Flask, tenant: Tenant | None) -> str | None:
    with app.app_context():
        found = effective.settings_of(scope_of(tenant)).logo
        db.session.remove()
        return found


def test_the_host_sets_a_logo_and_removes_it(app: Flask, visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.rita)
    page = visit.open("/host/mail-settings")
    assert "none: letters show the name" in page.text
    page = page.follow("Change the logo")
    assert "Letters show the name" in page.text
    page = upload(visit, page.path, LOGO)
    assert "Letters carry it from the next message." in page.text
    assert "PNG, 48 × 24 pixels" in page.text
    assert (stored(app, None) or "").startswith("png-48x24-")

    shown = visit.client.get(f"{page.path}/image")
    assert (shown.data, shown.mimetype) == (LOGO, "image/png")
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert "none: letters show the name" not in visit.open("/host/mail-settings").text
    page = visit.open(page.path).submit(button="Remove the logo")
    assert "Letters show the name instead." in page.text
    assert stored(app, None) is None
    assert visit.client.get(f"{page.path}/image").status_code == 404


def test_an_organization_overrides_the_logo_and_resets_it(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with app.app_context():
        logos.save(HOST, LOGO, actor=OPERATOR)
        db.session.commit()
    visit.sign_in(cast.alice)
    assert visit.client.get(f"{ACME}/logo/image").data == LOGO
    page = visit.open(f"{ACME}/edit").follow("Change the logo")
    assert "from the platform" in page.text
    assert not [button for button in page.root.query("button") if "Reset" in button.to_text()]

    page = upload(visit, page.path, JPEG)
    assert "JPEG, 48 × 24 pixels" in page.text
    assert visit.client.get(f"{ACME}/logo/image").mimetype == "image/jpeg"
    assert "Nothing was changed." in upload(visit, page.path, JPEG).text
    page = visit.open(page.path).submit(button="Reset to the platform’s")
    assert "platform’s again" in page.text
    assert visit.client.get(f"{ACME}/logo/image").data == LOGO


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG is refused"),
        (LOGO[:-9], "ends too early"),
        (LOGO + bytes(250_000), "larger than 200 KB"),
    ],
)
@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_file_that_is_no_logo_is_refused_by_its_content(
    app: Flask, visit: Browser, cast: Cast, content: bytes, says: str
) -> None:
    visit.sign_in(cast.alice)
    page = upload(visit, f"{ACME}/logo", content, status=422)
    assert says in page.errors[0]
    assert stored(app, cast.acme) is None


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_no_file_at_all_is_said(visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.alice)
    page = visit.open(f"{ACME}/logo").submit(button="Save logo", status=422)
    assert page.errors == ["Image: Choose a PNG or JPEG image."]
