"""Which keys a settings file may hold, and where."""

from portal.cli.settings_file.document import Scalar, Shape, Table, Tables
from portal.settings.mail_rules import HOST_KEYS, ORGANIZATION_KEYS

_WHOLE = {
    "port",
    "retention_days",
    "daily_cap",
    "priority",
    "connect_timeout",
    "command_timeout",
    "per_minute",
    "per_day",
    "connections",
    "messages_per_connection",
}
_SWITCH = {
    "enabled",
    "fallback",
    "own_senders_allowed",
    "fallback_allowed",
    "verify",
    "allow_clear_login",
    "active",
}
_TEXTS = {"allowed_from", "kinds", "allowed_destinations", "scopes", "audience"}
_SENDER = (
    *("name", "display_name", "from_address", "reply_to", "envelope_sender", "server", "port"),
    *("encryption", "verify", "ca_file", "authentication", "username", "domain"),
    *("password_file", "password_env", "allow_clear_login", "ehlo_name", "connect_timeout"),
    *("command_timeout", "per_minute", "per_day", "connections", "messages_per_connection"),
    *("client_id", "client_secret_file", "client_secret_expires_at", "token_url", "scope"),
    *("private_key_file", "refresh_token_file", "allowed_from", "kinds"),
    *("priority", "active", "enabled"),
)
_PERSON = ("email", "name", "password_file", "password_env", "language")


def _table(keys: tuple[str, ...], *required: str) -> Table:
    return Table({key: _scalar(key) for key in keys}, required)


def _scalar(key: str) -> Shape:
    if key in _WHOLE:
        return Scalar.WHOLE
    if key in _SWITCH:
        return Scalar.SWITCH
    return Scalar.TEXTS if key in _TEXTS else Scalar.TEXT


_SENDERS = Tables(_table(_SENDER, "name"))
# In place of the name of an image: the file that holds it.
_LOGO = "logo_file"
_TOKENS = Tables(_table(("name", "scopes", "token_file"), "name", "scopes", "token_file"))
_HOST = Table(
    {
        "mail": _table((*HOST_KEYS, _LOGO)),
        "allowed_destinations": Scalar.TEXTS,
        "senders": _SENDERS,
        "administrators": Tables(_table(_PERSON, "email")),
        "api_tokens": _TOKENS,
    }
)
_ORGANIZATION = Table(
    {
        "slug": Scalar.TEXT,
        "name": Scalar.TEXT,
        "mail": _table((*ORGANIZATION_KEYS, _LOGO)),
        "senders": _SENDERS,
        "members": Tables(_table((*_PERSON, "role"), "email", "role")),
        "routing": Tables(
            _table(("category", "minimum_severity", "audience"), "category", "audience")
        ),
        "api_tokens": _TOKENS,
    },
    ("slug",),
)

FILE = Table({"host": _HOST, "organizations": Tables(_ORGANIZATION)})
