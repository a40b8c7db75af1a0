"""Forms of mail settings and senders. They hold what was typed; the rules lie in the capabilities,
under the same names. `raw` gives the values as those want them."""

import uuid
from collections.abc import Sequence
from datetime import datetime, time
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    EmailField,
    FileField,
    HiddenField,
    PasswordField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice

from portal.clock import new_id
from portal.settings import providers
from portal.settings.mail_rules import IDENTITY_KEYS
from portal.settings.models import MailSettings, Mode
from portal.settings.own_fields import OWN_KEYS
from portal.settings.sender_rules import USUAL_PORT, VALUE_KEYS, SenderValues
from portal.smtp.values import Authentication, Encryption

_OFF = {"autocomplete": "off"}
_LANGUAGES = [SelectChoice("en", "English"), SelectChoice("zh", "简体中文")]
_HIDDEN_KEYS = {"verify", "allow_clear_login"}
# Beside `password`; none of them ever stands in a page.
SECRET_FIELDS = ("client_secret", "private_key", "refresh_token")


class ActForm(FlaskForm):
    """A form of one button."""


class _IdentityForm(FlaskForm):
    revision = HiddenField()
    title_prefix = StringField(_l("Title prefix"), render_kw=_OFF)
    display_name = StringField(_l("Display name"), render_kw=_OFF)
    reply_to = EmailField(_l("Reply-To"), render_kw=_OFF)
    language = SelectField(_l("Language"))
    footer = TextAreaField(_l("Footer"))
    accent_color = StringField(_l("Accent colour"), render_kw={"spellcheck": "false", **_OFF})
    retention_days = StringField(_l("Keep records"), render_kw={"inputmode": "numeric", **_OFF})
    default_sender = SelectField(_l("Default sender"))

    @property
    def opened_revision(self) -> int:
        """The revision that the page showed; 0, which none has, where it was tampered with."""
        text = self.revision.data or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0

    def offer_senders(self, names: list[str], none: str) -> None:
        self.default_sender.choices = [
            SelectChoice("", none),
            *(SelectChoice(name, name) for name in names),
        ]

    def raw(self) -> dict[str, Any]:
        """The identity and the default sender; an empty field inherits."""
        values = {key: self[key].data or None for key in IDENTITY_KEYS}
        return values | {"default_sender": self.default_sender.data or None}


class HostMailForm(_IdentityForm):
    """The platform's defaults."""

    enabled = BooleanField(_l("Send mail by the platform’s senders"))
    daily_cap = StringField(_l("Daily cap"), render_kw={"inputmode": "numeric", **_OFF})
    allowed_destinations = TextAreaField(
        _l("Allowed destinations"), render_kw={"spellcheck": "false", "rows": 4}
    )

    def __init__(self, settings: MailSettings, default_sender: str | None) -> None:
        super().__init__(data=_stored(settings, default_sender))
        self.language.choices = [SelectChoice("", _l("English, unless set")), *_LANGUAGES]

    def raw(self) -> dict[str, Any]:
        own = {"enabled": bool(self.enabled.data), "daily_cap": self.daily_cap.data or None}
        return super().raw() | own

    @property
    def destinations(self) -> list[str]:
        lines = (self.allowed_destinations.data or "").splitlines()
        return [line.strip() for line in lines if line.strip()]


class PlatformForm(FlaskForm):
    """The few of the platform's defaults that the first run asks for."""

    _KEYS = ("display_name", "title_prefix", "language")
    display_name = StringField(_l("Name of the platform"), render_kw=_OFF)
    title_prefix = StringField(_l("Title prefix"), render_kw=_OFF)
    language = SelectField(_l("Language of letters"), choices=_LANGUAGES)

    def __init__(self, settings: MailSettings) -> None:
        super().__init__(data={key: getattr(settings, key) for key in self._KEYS})

    def raw(self) -> dict[str, Any]:
        return {key: self[key].data or None for key in self._KEYS}


class LogoForm(FlaskForm):
    """Another logo, as a file."""

    logo = FileField(_l("Image"), render_kw={"accept": "image/png,image/jpeg"})


class FirstProviderForm(FlaskForm):
    """Whose mail server the first sender uses; `other` for one that is not in the catalogue,
    `catcher` for a mail catcher, where one was found."""

    provider = RadioField(_l("Provider"), default="other")

    def __init__(self, *, has_catcher: bool) -> None:
        super().__init__()
        catcher = [SelectChoice("catcher", _l("A mail catcher, for now"))] if has_catcher else []
        self.provider.choices = [
            *catcher,
            SelectChoice("other", _l("Another server")),
            *(SelectChoice(provider.key, provider.name) for provider in providers.all()),
        ]


class OrganizationMailForm(_IdentityForm):
    """An organization's overrides."""

    mode = RadioField(
        _l("How mail goes out"),
        choices=[
            SelectChoice(Mode.INHERIT.value, _l("Platform default")),
            SelectChoice(Mode.OWN.value, _l("Own senders")),
            SelectChoice(Mode.OFF.value, _l("No mail")),
        ],
    )
    fallback = BooleanField()

    def __init__(self, settings: MailSettings, default_sender: str | None) -> None:
        super().__init__(data=_stored(settings, default_sender))
        self.language.choices = [SelectChoice("", _l("Inherited")), *_LANGUAGES]

    def raw(self, *, with_fallback: bool) -> dict[str, Any]:  # type: ignore[override]
        values = super().raw() | {"mode": self.mode.data}
        return values | ({"fallback": bool(self.fallback.data)} if with_fallback else {})


class _SecretArea(TextAreaField):
    """A secret of many lines; like a password it is never written into the page again."""

    def _value(self) -> str:
        return ""


class SenderForm(FlaskForm):
    """A sender, new or stored. `form_token` names this opened form: a new sender gets it as id,
    so that a second post of the same form is known, and a typed secret is kept under it."""

    form_token = HiddenField()
    revision = HiddenField()
    encryption_was = HiddenField()
    provider = SelectField(_l("Mail provider"))
    from_address = EmailField(_l("From address"), render_kw=_OFF)
    display_name = StringField(_l("Display name"), render_kw=_OFF)
    name = StringField(_l("Name"), render_kw=_OFF)
    reply_to = EmailField(_l("Reply-To"), render_kw=_OFF)
    server = StringField(_l("SMTP server"), render_kw={"spellcheck": "false", **_OFF})
    port = StringField(_l("Port"), render_kw={"inputmode": "numeric", **_OFF})
    encryption = RadioField(
        _l("Encryption"),
        choices=[
            SelectChoice(Encryption.NONE.value, _l("None")),
            SelectChoice(Encryption.STARTTLS.value, _l("STARTTLS")),
            SelectChoice(Encryption.TLS.value, _l("SSL/TLS")),
        ],
    )
    authentication = SelectField(
        _l("Authentication"),
        choices=[
            SelectChoice(Authentication.PASSWORD.value, _l("Password or authorization code")),
            SelectChoice(
                Authentication.OAUTH2_CLIENT_CREDENTIALS.value,
                _l("OAuth2 client credentials (Microsoft 365)"),
            ),
            SelectChoice(
                Authentication.OAUTH2_SERVICE_ACCOUNT.value, _l("OAuth2 service account (Google)")
            ),
            SelectChoice(Authentication.OAUTH2_REFRESH_TOKEN.value, _l("OAuth2 refresh token")),
            SelectChoice(Authentication.NONE.value, _l("None (trusted relay)")),
        ],
    )
    username = StringField(_l("User name"), render_kw=_OFF)
    domain = StringField(_l("Domain"), render_kw=_OFF)
    password = PasswordField(_l("Password or authorization code"))
    client_id = StringField(_l("Client id"), render_kw=_OFF)
    token_url = StringField(_l("Token URL"), render_kw={"spellcheck": "false", **_OFF})
    scope = StringField(_l("Scope"), render_kw={"spellcheck": "false", **_OFF})
    client_secret = PasswordField(_l("Client secret"))
    client_secret_expires_at = StringField(_l("Client secret expires"), render_kw=_OFF)
    private_key = _SecretArea(_l("Private key"), render_kw={"spellcheck": "false", "rows": 3})
    refresh_token = PasswordField(_l("Refresh token"))
    secret_act = RadioField(
        _l("Stored password"),
        choices=[
            SelectChoice("keep", _l("Keep")),
            SelectChoice("replace", _l("Replace")),
            SelectChoice("clear", _l("Clear")),
        ],
    )
    allow_clear_login = BooleanField(_l("Allow the password without encryption"))
    any_certificate = BooleanField(_l("Do not verify the server’s certificate"))
    ehlo_name = StringField(_l("EHLO name"), render_kw={"spellcheck": "false", **_OFF})
    envelope_sender = EmailField(_l("Envelope sender"), render_kw=_OFF)
    connect_timeout = StringField(_l("Connect timeout"), render_kw={"inputmode": "numeric"})
    command_timeout = StringField(_l("Command timeout"), render_kw={"inputmode": "numeric"})
    per_minute = StringField(_l("Messages a minute"), render_kw={"inputmode": "numeric"})
    per_day = StringField(_l("Messages a day"), render_kw={"inputmode": "numeric"})
    connections = StringField(_l("Connections"), render_kw={"inputmode": "numeric"})
    messages_per_connection = StringField(
        _l("Messages a connection"), render_kw={"inputmode": "numeric"}
    )
    priority = StringField(_l("Priority"), render_kw={"inputmode": "numeric"})
    kinds = SelectMultipleField(_l("Mail that this sender carries first"))
    allowed_from = TextAreaField(
        _l("Allowed From addresses"), render_kw={"spellcheck": "false", "rows": 3}
    )
    ca = TextAreaField(_l("Own CA certificate (PEM)"), render_kw={"spellcheck": "false", "rows": 4})
    to = EmailField(_l("Test mail goes to"), render_kw=_OFF)

    @property
    def token(self) -> uuid.UUID:
        """Which opened form this is; a fresh one where it was tampered with."""
        try:
            return uuid.UUID(self.form_token.data or "")
        except ValueError:
            self.form_token.data = str(found := new_id())
            return found

    @property
    def opened_revision(self) -> int:
        text = self.revision.data or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.offer_providers()

    def raw(self, *, at_host: bool, by_host: bool) -> dict[str, Any]:
        """The keys that this person may set."""
        values = {key: self[key].data for key in (*VALUE_KEYS, *OWN_KEYS) if key in self}
        lines = (self.allowed_from.data or "").splitlines()
        values["allowed_from"] = [line.strip() for line in lines if line.strip()]
        if not by_host:
            values.pop("allow_clear_login")
        if at_host:
            values["verify"] = not self.any_certificate.data
        if str(self.authentication.data).startswith("oauth2_"):
            values["domain"] = None  # its field is of no use there, and is not seen
        return values

    def offer_providers(self) -> None:
        """Every preset; the first choice goes by the From address."""
        self.provider.choices = [
            SelectChoice("", _l("By the From address")),
            *(SelectChoice(provider.key, provider.name) for provider in providers.all()),
        ]

    def let_port_follow(self) -> bool:
        """Without script: a port that is empty, or the usual one of the encryption before, becomes
        the usual one of the encryption now. Returns whether it changed."""
        try:
            now, before = Encryption(self.encryption.data), Encryption(self.encryption_was.data)
        except ValueError:
            return False
        typed = (self.port.data or "").strip()
        follows = not typed or (now is not before and typed == str(USUAL_PORT[before]))
        if not follows or typed == str(USUAL_PORT[now]):
            return False
        self.port.data = str(USUAL_PORT[now])
        return True


def new_sender_data(to: str) -> dict[str, Any]:
    """What a new form shows: STARTTLS on 587 with a password."""
    defaults = SenderValues("", "", "", USUAL_PORT[Encryption.STARTTLS])
    shown = sender_data(
        defaults, name="", priority=100, kinds=(), allowed_from=(), revision=0, to=to
    )
    return shown | {
        "authentication": Authentication.PASSWORD.value,
        "form_token": str(new_id()),
    }


def sender_data(
    values: SenderValues,
    *,
    name: str,
    priority: int,
    kinds: Sequence[str],
    allowed_from: Sequence[str],
    revision: int,
    to: str,
) -> dict[str, Any]:
    """What the form of a stored sender shows. No secret is among it."""
    shown = {key: _text(getattr(values, key)) for key in VALUE_KEYS if key not in _HIDDEN_KEYS}
    return shown | {
        "name": name,
        "priority": str(priority),
        "kinds": list(kinds),
        "allowed_from": "\n".join(allowed_from),
        "revision": str(revision),
        "encryption_was": values.encryption.value,
        "any_certificate": not values.verify,
        "allow_clear_login": values.allow_clear_login,
        "form_token": str(new_id()),
        "to": to,
    }


def _stored(settings: MailSettings, default_sender: str | None) -> dict[str, Any]:
    shown = {key: _text(getattr(settings, key)) for key in IDENTITY_KEYS}
    return shown | {
        "revision": str(settings.revision),
        "enabled": settings.enabled,
        "mode": settings.mode.value,
        "fallback": settings.fallback,
        "daily_cap": _text(settings.daily_cap),
        "default_sender": default_sender or "",
        "allowed_destinations": "\n".join(settings.allowed_destinations),
    }


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        whole_day = value.time() == time(0)
        return value.date().isoformat() if whole_day else value.isoformat()
    return "" if value is None else str(value)
