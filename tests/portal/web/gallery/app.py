"""A bare application that shows every component on pages of its own."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from flask import Flask, Response, flash, render_template, url_for
from flask_babel import Babel
from flask_wtf import CSRFProtect, FlaskForm
from jinja2 import ChoiceLoader, FileSystemLoader
from wtforms import (
    BooleanField,
    EmailField,
    IntegerField,
    PasswordField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, Optional

from portal import resources
from portal.delivery.report import Report, ReportFailure, Step
from portal.smtp.rules import Repair
from portal.smtp.values import Encryption
from portal.web import headers, navigation, presentation

PAGES = ("mail-settings", "sender", "records", "record", "overview", "decision", "setup", "confirm")
AT = datetime(2026, 11, 20, 6, 31, 58, tzinfo=UTC)


class SettingsForm(FlaskForm):
    mode = RadioField(
        "Mode",
        choices=[
            SelectChoice("inherit", "Platform default"),
            SelectChoice("own", "Own senders"),
            SelectChoice("off", "No mail"),
        ],
        default="own",
    )
    fallback = BooleanField(
        "When none of these can accept, alerts and approvals may go by the platform", default=True
    )
    display_name = StringField("Display name", default="Globex Alerts")
    reply_to = EmailField("Reply-To", [Optional()])
    language = SelectField(
        "Language",
        choices=[SelectChoice("", "Inherited"), SelectChoice("zh", "简体中文")],
        default="zh",
    )
    footer = TextAreaField("Footer", [Optional()])
    retention = IntegerField("Keep records", [Optional()])
    kinds = SelectMultipleField(
        "Kinds mailed",
        choices=[SelectChoice("alert", "Alert raised"), SelectChoice("test", "Test mail")],
        default=["test"],
    )


class SenderForm(FlaskForm):
    preset = SelectField("Provider", choices=[SelectChoice("exmail", "Tencent Exmail 腾讯企业邮")])
    from_address = EmailField("From address", [DataRequired()], default="approvals@globex.example")
    display_name = StringField("Display name", default="Globex Approvals")
    name = StringField("Name in this organization", default="approvals")
    reply_to = EmailField("Reply-To", [Optional()])
    server = StringField("SMTP server", default="smtp.exmail.qq.com")
    port = IntegerField("Port", default=465)
    encryption = RadioField(
        "Encryption",
        choices=[
            SelectChoice("none", "None"),
            SelectChoice("starttls", "STARTTLS"),
            SelectChoice("tls", "SSL/TLS"),
        ],
        default="tls",
    )
    secret_act = RadioField(
        "What to do with the stored secret",
        choices=[
            SelectChoice("keep", "Keep"),
            SelectChoice("replace", "Replace"),
            SelectChoice("clear", "Clear"),
        ],
    )
    secret = PasswordField("Password or authorization code")
    timeout = IntegerField("Connect timeout", default=10)


def create_app(*, endpoint: str | None = "organization.mail_settings") -> Flask:
    """The gallery at /<page>, with the policy and the navigation of the real application."""
    app = Flask(
        "gallery",
        template_folder=str(resources.folder("templates")),
        static_folder=str(resources.folder("static")),
    )
    app.config.update(SECRET_KEY="gallery", WTF_CSRF_TIME_LIMIT=None)
    app.jinja_loader = ChoiceLoader(
        [
            FileSystemLoader(str(resources.folder("templates"))),
            FileSystemLoader(str(Path(__file__).parent)),
        ]
    )
    CSRFProtect(app)
    Babel(app, locale_selector=lambda: "en", timezone_selector=lambda: "Asia/Shanghai")
    presentation.register(app)
    app.after_request(headers.protect)
    _add_addresses(app)
    app.context_processor(lambda: shell(endpoint))
    app.add_url_rule("/show/<page>", "show", _show, methods=["GET", "POST"])
    app.add_url_rule("/error/<int:status>", "error", _error)
    return app


def shell(endpoint: str | None) -> dict[str, object]:
    """What the real application gives to every page."""
    groups = navigation.organization_navigation(
        url_for,
        endpoint,
        "globex",
        lambda _endpoint: True,
        counts={"organization.senders": 3, "notifications.alerts": "2 firing"},
        bad=["notifications.alerts"],
    )
    switcher = (
        navigation.SwitcherEntry("Acme Cloud", "/", "System administrator"),
        navigation.SwitcherEntry("Globex", "/", "Administrator", True, "Gx"),
    )
    return {
        "navigation": groups,
        "switcher": switcher,
        "breadcrumb": navigation.trail(groups, switcher),
        "person": navigation.person(url_for, "Carol Reyes"),
        "platform_name": "Acme Cloud",
        "search_url": "/",
    }


def _add_addresses(app: Flask) -> None:
    under_organization = {
        "organization": ("overview", "mail_settings", "senders", "members", "routing", "records",
                         "api_tokens", "audit"),
        "notifications": ("alerts", "approvals"),
    }  # fmt: skip
    for blueprint, names in under_organization.items():
        for name in names:
            app.add_url_rule(f"/o/<organization>/{name}", f"{blueprint}.{name}", _nothing)
    app.add_url_rule("/", "home", _nothing)
    app.add_url_rule("/me/profile", "me.profile", _nothing)
    app.add_url_rule("/sign-out", "auth.sign_out", _nothing, methods=["POST"])


def _nothing(**_values: str) -> str:
    return ""


def _show(page: str) -> str:
    if page == "mail-settings":
        flash("Mail settings saved. They apply from the next message.", "success")
    form = SenderForm() if page == "sender" else SettingsForm()
    if page == "sender":
        form.secret.errors = ["Refused by the server. Give a client-specific password."]
        form.server.errors = ["Enter an SMTP server, for example smtp.example.com."]
    return render_template(f"{page}.html", form=form, report=failed_report(), at=AT, steps=_steps())


def _error(status: int) -> Response:
    names = ["Carol Reyes", "Dave Okafor"]
    page = render_template(
        "errors/error.html", status=status, title="Title", detail="Detail.", administrators=names
    )
    return Response(page, status)


def failed_report() -> Report:
    return Report(
        passed=False,
        sent=False,
        steps=(
            Step("dns", True, 12, "smtp.exmail.qq.com has 2 addresses"),
            Step("connect", True, 31, "203.0.113.57:465"),
            Step("tls", True, 88, "TLS 1.3, certificate checked"),
            Step("auth", False, 902),
            Step("mail"),
        ),
        failure=ReportFailure(
            step="auth",
            cause="auth_refused",
            say="The server refuses this user name or password.",
            cure="Make a client-specific password and paste it into the form.",
            code=535,
            reply="<b>Error</b>: authentication failed",
            repairs=(Repair("Use STARTTLS on 587", encryption=Encryption.STARTTLS, port=587),),
        ),
        capabilities=("PIPELINING", "AUTH LOGIN PLAIN"),
        tls=None,
        transcript=(
            "S: 220 smtp.qq.com",
            "C: AUTH PLAIN ****",
            "S: 535 Error: authentication failed",
        ),
        started_at=AT,
        ms=1090,
    )


def _steps() -> list[SimpleNamespace]:
    return [
        SimpleNamespace(label="Account", note="Rita Novak", done=True, current=False),
        SimpleNamespace(label="Platform", note="Acme Cloud", done=True, current=False),
        SimpleNamespace(label="First sender", note=None, done=False, current=True),
        SimpleNamespace(label="Test", note="a mail to yourself", done=False, current=False),
    ]


if __name__ == "__main__":
    create_app().run(port=8123)
