"""The form of a sender: test, save, repair, cancel, on real sockets."""

import pytest
from flask import Flask
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.extensions import db
from portal.settings import effective, senders
from portal.settings.models import SecretDraft, VersionState
from portal.settings.scope import HOST
from tests import smtp_certificates
from tests.browser import Browser, Page
from tests.cast import Cast
from tests.portal.web.senders import (
    CANARY,
    found,
    is_active,
    login_server,
    open_to_organizations,
    path_of,
    scope_of,
    store,
    typed_for,
    with_secret,
)
from tests.smtp_server import SmtpServer

NEW = "/organizations/globex/senders/new"


def drafts_left(app: Flask) -> int:
    with app.app_context():
        return len(db.session.scalars(select(SecretDraft)).all())


def without_canary(page: Page) -> Page:
    assert CANARY.strip() not in page.response.text
    return page


def test_a_test_mail_that_passes_makes_the_save_active(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with login_server() as server:
        open_to_organizations(app, server)
        visit.sign_in(cast.carol)
        page = visit.open(NEW).submit(with_secret(typed_for(server)), button="send")
        without_canary(page)
        assert "Passed" in page.text
        assert "The password that you typed is kept for 15 minutes" in page.text
        (received,) = server.messages
        assert received.recipients == (cast.carol.email,)

        page = without_canary(page.submit(button="Save and activate"))

    assert "Sender new is saved and active" in page.text
    assert is_active(app, cast.globex, "new")
    assert drafts_left(app) == 0
    (record,) = visit.open("/organizations/globex/records").root.query("a.gp-plain[href*=records]")
    assert "a test sends by the values that it was given" in visit.open(record.attrs["href"]).text


def test_a_check_sends_nothing_and_activates_nothing(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with login_server() as server:
        open_to_organizations(app, server)
        visit.sign_in(cast.carol)
        page = visit.open(NEW).submit(with_secret(typed_for(server)), button="check")
        assert "Nothing was sent" in page.text
        page = page.submit(button="Save as draft")
        assert server.messages == []

    assert "not active" in page.text
    assert not is_active(app, cast.globex, "new")


def test_a_refused_password_is_told_with_its_cure_and_stays_a_draft(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with login_server() as server:
        open_to_organizations(app, server)
        visit.sign_in(cast.carol)
        wrong = with_secret(typed_for(server), "wrong canary 7d1f")
        page = without_canary(visit.open(NEW).submit(wrong, button="send"))
        assert "The test found one problem" in page.text
        assert page.errors[0].startswith("Password or authorization code: ")
        assert page.form("Save as draft").value("server") == server.host
        assert page.form("Save as draft").value("password") == ""
        page.submit(button="Save as draft")

    assert not is_active(app, cast.globex, "new")


def test_cancel_deletes_the_typed_password(app: Flask, visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.carol)
    page = visit.open(NEW).submit({"password": CANARY}, button="Save as draft", status=422)
    assert drafts_left(app) == 1

    page.submit(button="cancel")

    assert drafts_left(app) == 0
    with app.app_context():
        assert found(cast.globex, "new") is None


def test_a_typed_password_survives_errors_and_is_saved(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with login_server() as server:
        open_to_organizations(app, server)
        visit.sign_in(cast.carol)
        typed = with_secret(typed_for(server, server=""))
        page = without_canary(visit.open(NEW).submit(typed, button="Save as draft", status=422))
        assert page.errors == ["SMTP server: Enter an SMTP server, for example smtp.example.com."]
        page = page.submit({"server": server.host}, button="send")
        assert "Passed" in page.text
        assert server.auth_bytes > 0


def test_the_draft_of_another_session_is_not_used(app: Flask, visit: Browser, cast: Cast) -> None:
    visit.sign_in(cast.carol)
    page = visit.open(NEW).submit({"password": CANARY}, button="Save as draft", status=422)
    other = Browser(app)
    other.sign_in(cast.carol)
    stolen = page.form("Save as draft")
    stolen.fill({"name": "new", "from_address": "a@globex.test", "display_name": "A"})
    stolen.fill({"server": "smtp.globex.test", "secret_act": "keep"})
    stolen.data["csrf_token"] = other.open(NEW).form("Save as draft").data["csrf_token"]

    answer = other.send(NEW, stolen.data, status=422)

    assert "Password or authorization code: Enter the password or authorization code." in (
        answer.errors
    )
    with app.app_context():
        assert found(cast.globex, "new") is None


CHANGES: dict[str, str | bool] = {
    "server": "localhost",
    "port": "",
    "encryption": "tls",
    "username": "root",
    "domain": "EVIL",
    "ca": "",
    "any_certificate": True,
    "from_address": "root@globex.test",
}


@pytest.mark.parametrize("act", ["save", "check", "send", "activate"])
@pytest.mark.parametrize("field", CHANGES)
def test_a_stored_password_follows_no_changed_destination(
    app: Flask, visit: Browser, cast: Cast, field: str, act: str
) -> None:
    """Each field of the binding alone, by every button: not one byte of AUTH comes out."""
    with login_server() as server, login_server() as other:
        path = store(app, None, typed_for(server), CANARY)
        value = str(other.port) if field == "port" else CHANGES[field]
        visit.sign_in(cast.rita)
        page = visit.open(f"{path}/edit").submit({field: value}, button=act, status=422)
        assert any("Enter the password again" in error for error in page.errors)
        assert (server.auth_bytes, other.auth_bytes) == (0, 0)

    without_canary(page)
    with app.app_context():
        sender = found(None, "new")
        assert sender is not None
        assert len(sender.versions) == 1


def test_a_test_of_stored_values_uses_the_stored_password(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with login_server() as server:
        path = store(app, None, typed_for(server), CANARY)
        visit.sign_in(cast.rita)
        page = without_canary(visit.open(f"{path}/edit").submit(button="send"))
        assert "Passed" in page.text
        assert server.messages[0].authenticated_as == "alerts@globex.test"
        page = page.submit({"Display name": "New name"}, button="save")

    assert "saved and active" in page.text


def test_a_repair_changes_the_form_and_asks_for_the_stored_password(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with login_server() as server:
        path = store(app, None, typed_for(server), CANARY)
        visit.sign_in(cast.rita)
        form = visit.open(f"{path}/edit").form("check")
        form.data["repair"] = "tls:465:"
        page = visit.send(f"{path}/edit", form.data, status=422)

        assert page.form("check").value("port") == "465"
        assert page.form("check").value("encryption") == "tls"
        assert any("Enter the password again" in error for error in page.errors)
        assert server.connections == 0

        form.data["repair"] = "tls:465:ann@qq.com"
        page = visit.send(f"{path}/edit", form.data, status=422)
        filled = [page.form("check").value(key) for key in ("server", "port", "encryption")]
        assert filled == ["smtp.qq.com", "465", "tls"]
        assert "Filled in for QQ Mail QQ邮箱, not saved yet." in page.text
        assert any("Enter the password again" in error for error in page.errors)


@pytest.mark.parametrize(
    ("before", "after", "port", "kept"),
    [
        ("starttls", "tls", "587", "465"),
        ("starttls", "none", "587", "25"),
        ("starttls", "tls", "", "465"),
        ("starttls", "tls", "2465", "2465"),
        ("starttls", "starttls", "25", "25"),
    ],
)
def test_without_script_the_port_follows_the_encryption_unless_typed(
    visit: Browser, cast: Cast, before: str, after: str, port: str, kept: str
) -> None:
    visit.sign_in(cast.carol)
    page = visit.open(NEW)
    assert page.form("check").value("encryption") == before
    page = page.submit({"encryption": after, "port": port}, button="save", status=422)
    assert page.form("check").value("port") == kept


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("port", "70000", "Port: Enter a whole number from 1 to 65535."),
        ("server", "smtp.globex.test:25", "Enter the server without its port"),
        ("from_address", "a@globex.test\nBcc: b@globex.test", "From address: "),
        ("display_name", "ceo@globex.test", "a display name must not look like an address"),
        ("reply_to", "nobody", "Reply-To: Enter an email address"),
        ("name", "a/b", "Name: Name this sender"),
        ("connect_timeout", "0", "Connect timeout: Enter a whole number from 1 to 120."),
        ("ca", "-----BEGIN PRIVATE KEY-----", "This is a private key and was not stored"),
        ("from_address", "No-Reply@gatepost.test", "is the platform's own address. Enter one of"),
        ("envelope_sender", "no-reply@gatepost.test", "is the platform's own address."),
        ("allowed_from", "no-reply@gatepost.test", "is the platform's own address."),
        ("display_name", "PLATFORM", "This is the name of the platform"),
        ("to", "not an address", "Test mail goes to: Enter an email address"),
    ],
)
def test_a_wrong_value_is_named_with_its_cure_and_nothing_typed_is_lost(
    app: Flask, visit: Browser, cast: Cast, field: str, value: str, says: str
) -> None:
    with login_server() as server:
        visit.sign_in(cast.carol)
        form = visit.open(NEW).form("check" if field == "to" else "save")
        form.fill(with_secret(typed_for(server)))
        form.data[field] = value
        page = visit.send(NEW, form.data, status=422)

    assert any(says in error for error in page.errors), page.errors
    assert page.form("check").value("display_name") == form.data["display_name"]


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "ENCRYPTED "])
def test_a_private_key_pasted_as_authority_is_not_written_into_the_page(
    app: Flask, visit: Browser, cast: Cast, kind: str
) -> None:
    key = f"-----BEGIN {kind}PRIVATE KEY-----\n{CANARY}\n-----END {kind}PRIVATE KEY-----"
    visit.sign_in(cast.carol)
    with SmtpServer() as server:
        form = visit.open(NEW).form("save")
        form.fill(typed_for(server, ca=f"{smtp_certificates.authority_pem()}{key}"))
        for act in ("save", "check"):
            page = visit.send(NEW, form.data | {"act": act}, status=422)
            without_canary(page)
            assert page.form("save").value("ca") == ""
            assert page.form("save").value("name") == "new"


def test_a_server_that_is_not_there_is_told_step_by_step(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    visit.sign_in(cast.rita)
    with SmtpServer() as server:
        values = typed_for(server, server="no-such-host.invalid")
        page = visit.open("/host/senders/new").submit(values, button="check")
    assert "The test found one problem" in page.text
    assert page.errors[0].startswith("SMTP server: ")


def test_a_form_that_is_posted_twice_makes_one_sender(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with SmtpServer() as server:
        visit.sign_in(cast.carol)
        form = visit.open(NEW).form("save")
        form.fill(typed_for(server))
        first = visit.send(NEW, form.data)
        second = visit.send(NEW, form.data)

    assert "saved already" in second.text
    assert first.path == second.path
    with app.app_context():
        assert [s.name for s in senders.all_of(scope_of(cast.globex))] == ["main", "new"]


def test_two_people_who_save_at_once_do_not_overwrite_each_other(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    path = path_of(app, None, "platform") + "/edit"
    visit.sign_in(cast.rita)
    mine = visit.open(path)
    visit.open(path).submit({"Display name": "Theirs"}, button="save")

    page = mine.submit({"Display name": "Mine"}, button="save", status=409)

    assert "Rita Root saved this" in page.text
    assert "Display name" in page.text
    assert page.form("save").value("Display name") == "Mine"
    page.submit(button="save")
    with app.app_context():
        default = effective.default_sender(HOST)
        assert default is not None
        version = effective.version_of(default, VersionState.ACTIVE)
        assert version is not None
        assert version.display_name == "Mine"


def test_only_a_system_administrator_is_offered_what_weakens_a_sender(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    visit.sign_in(cast.carol)
    page = visit.open(NEW)
    offered = {"any_certificate", "allow_clear_login"}
    assert not offered & set(page.form("check").data)
    assert "Activate without test" not in page.text
    assert "Do not verify" not in page.text
    host = Browser(app)
    host.sign_in(cast.rita)
    assert "Do not verify" in host.open("/host/senders/new").text


def test_an_administrator_cannot_post_what_is_not_offered(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with login_server() as server:
        visit.sign_in(cast.carol)
        form = visit.open(NEW).form("check")
        form.fill(with_secret(typed_for(server, encryption="none", ca="")))
        form.data["allow_clear_login"] = "y"
        form.data["act"] = "activate"
        page = visit.send(NEW, form.data, status=422)

    assert page.errors
    with app.app_context():
        assert found(cast.globex, "new") is None


def test_a_system_administrator_activates_a_host_sender_without_test(
    app: Flask, visit: Browser, cast: Cast
) -> None:
    with SmtpServer() as server:
        visit.sign_in(cast.rita)
        visit.open("/host/senders/new").submit(typed_for(server), button="Activate without test")
    assert is_active(app, None, "new")


def test_tests_are_limited_and_say_when_to_go_on(app: Flask, visit: Browser, cast: Cast) -> None:
    with login_server() as server:
        open_to_organizations(app, server)
        visit.sign_in(cast.carol)
        page = visit.open(NEW)
        for _ in range(3):
            page = page.submit(with_secret(typed_for(server), "wrong"), button="check")
        before = server.auth_bytes
        page = page.submit(button="check", status=429)
        assert server.auth_bytes == before

    assert "Too many tests for now" in page.text
    assert int(page.response.headers["Retry-After"]) > 0


def test_the_password_stands_in_no_table_in_clear(app: Flask, visit: Browser, cast: Cast) -> None:
    with login_server() as server:
        open_to_organizations(app, server)
        visit.sign_in(cast.carol)
        page = visit.open(NEW).submit(with_secret(typed_for(server)), button="send")
        page = page.submit(button="save")
    without_canary(page)
    without_canary(visit.open("/organizations/globex/senders"))
    without_canary(visit.open(path_of(app, cast.globex, "new") + "/edit"))
    with app.app_context():
        rows = [
            str(tuple(row))
            for table in reversed(db.metadata.sorted_tables)
            for row in db.session.execute(table.select())
        ]
        changes = [entry.changes for entry in db.session.scalars(select(AuditEntry))]
    assert not [row for row in rows if CANARY.strip() in row]
    assert any(change.get("secret") == {"after": "set"} for change in changes)
