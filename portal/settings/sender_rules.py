"""What a sender's values must look like. Pure: raw values in, SenderValues or Invalid out.

The keys are those of the API and of files; a page uses the same names for its fields.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from cryptography import x509

from portal.settings import oauth2_rules
from portal.smtp.values import Authentication, Encryption
from portal.validation import FieldError, Invalid, display_name, email_address, one_line

USUAL_PORT = {Encryption.NONE: 25, Encryption.STARTTLS: 587, Encryption.TLS: 465}
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class SenderValues:
    """A sender's bundle without its secrets. Timeouts are seconds; rates count messages.

    `token_url` and `scope` None stand for the defaults of the authentication; the OAuth2 values
    are None where it is none of OAuth2.
    """

    display_name: str
    from_address: str
    server: str
    port: int
    encryption: Encryption = Encryption.STARTTLS
    authentication: Authentication = Authentication.NONE
    username: str | None = None
    domain: str | None = None
    reply_to: str | None = None
    envelope_sender: str | None = None
    verify: bool = True
    ca: str | None = None
    allow_clear_login: bool = False
    ehlo_name: str | None = None
    connect_timeout: int = 10
    command_timeout: int = 30
    per_minute: int | None = None
    per_day: int | None = None
    connections: int = 8
    messages_per_connection: int | None = None
    client_id: str | None = None
    token_url: str | None = None
    scope: str | None = None
    client_secret_expires_at: datetime | None = None

    @property
    def login_name(self) -> str:
        """The user name that the server sees; defaults to the From address."""
        user = self.username or self.from_address
        return f"{self.domain}\\{user}" if self.domain else user

    @property
    def token_url_or_default(self) -> str | None:
        return oauth2_rules.token_url_or_default(self.authentication, self.token_url)

    @property
    def scope_or_default(self) -> str | None:
        return oauth2_rules.scope_or_default(self.authentication, self.scope)


OAUTH2_KEYS = ("client_id", "token_url", "scope", "client_secret_expires_at")
VALUE_KEYS = tuple(field.name for field in dataclasses.fields(SenderValues))
_HOST_ONLY = {"allow_clear_login", "verify"}


def parse(
    raw: Mapping[str, Any], *, base: SenderValues | None, at_host: bool, by_host: bool
) -> SenderValues:
    """Check raw values laid over `base`. Raises Invalid with every wrong field at once.

    `at_host`: the sender belongs to the host. `by_host`: a system administrator, a host token or
    the operator acts; only they may allow a login in clear or switch verification off.
    """
    values: dict[str, Any] = dataclasses.asdict(base) if base else {}
    errors: list[FieldError] = []
    for key in VALUE_KEYS:
        if key in raw:
            _apply(key, raw[key], values, errors)
    _fill_port(raw, values, errors)
    errors += [
        FieldError(key, message)
        for key, message in _REQUIRED.items()
        if not values.get(key) and not any(error.field == key for error in errors)
    ]
    if errors:
        raise Invalid(errors)
    parsed = _without_what_is_not_spoken(SenderValues(**values))
    _check_together(parsed, base, at_host=at_host, by_host=by_host)
    return parsed


def holds_private_key(text: str) -> bool:
    """Whether a secret was pasted where a certificate belongs: it must not be shown again."""
    return "PRIVATE KEY" in text.upper()


def _apply(key: str, raw: Any, values: dict[str, Any], errors: list[FieldError]) -> None:
    try:
        values[key] = _PARSERS[key](key, raw)
    except Invalid as problem:
        errors.extend(problem.errors)


def _fill_port(raw: Mapping[str, Any], values: dict[str, Any], errors: list[FieldError]) -> None:
    """A port that was not given follows the encryption."""
    encryption = values.setdefault("encryption", Encryption.STARTTLS)
    given = raw.get("port") not in (None, "")
    refused = any(error.field == "port" for error in errors)
    if not given and not refused and ("encryption" in raw or values.get("port") is None):
        values["port"] = USUAL_PORT[encryption]


def _without_what_is_not_spoken(values: SenderValues) -> SenderValues:
    if values.authentication.is_oauth2:
        return values
    return dataclasses.replace(
        values, client_id=None, token_url=None, scope=None, client_secret_expires_at=None
    )


def _check_together(
    values: SenderValues, base: SenderValues | None, *, at_host: bool, by_host: bool
) -> None:
    errors = oauth2_rules.errors_of(
        values.authentication,
        url=values.token_url,
        client_id=values.client_id,
        domain=values.domain,
    )
    clear = values.encryption is Encryption.NONE
    asks_login = values.authentication is not Authentication.NONE
    if values.allow_clear_login and not by_host and not (base and base.allow_clear_login):
        errors.append(
            FieldError(
                "allow_clear_login", "Only a system administrator may allow a login in clear."
            )
        )
    elif clear and asks_login and not values.allow_clear_login:
        errors.append(
            FieldError(
                "encryption",
                "The password would cross the network in clear. Choose STARTTLS or SSL/TLS, "
                "or ask a system administrator to allow a login in clear for this sender.",
            )
        )
    if not values.verify and not (at_host and by_host):
        errors.append(
            FieldError(
                "verify",
                "Certificates of an organization's sender are always verified. "
                "Paste the company's CA certificate instead.",
            )
        )
    if errors:
        raise Invalid(errors)


def _server(key: str, raw: Any) -> str:
    text = one_line(key, _text(key, raw), longest=253).rstrip(".")
    text = re.sub(r"^[a-z][a-z0-9+.-]*://", "", text, flags=re.IGNORECASE).rstrip("/")
    if ported := re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+):([0-9]{1,5})", text):
        raise Invalid.field(
            key, f"Enter the server without its port: {ported[1]}. The port is {ported[2]}."
        )
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not bare:
        raise Invalid.field(key, "Enter an SMTP server, for example smtp.example.com.")
    if re.fullmatch(r"[0-9A-Fa-f:.]+:[0-9A-Fa-f:.]*", bare) and bare.count(":") > 1:
        return bare.lower()
    if re.search(r"[\s/@?#%:\[\]\\]", bare) or not all(
        0 < len(part) < 64 for part in bare.split(".")
    ):
        raise Invalid.field(
            key, "Enter a server name or IP address, for example smtp.example.com or 192.0.2.10."
        )
    return bare.lower()


def _text(key: str, raw: Any) -> str:
    if raw is None:
        return ""
    if not isinstance(raw, str):
        raise Invalid.field(key, "Give this as text.")
    return raw


def _optional(check: Callable[[str, str], str]) -> Callable[[str, Any], str | None]:
    def parse_optional(key: str, raw: Any) -> str | None:
        text = _text(key, raw)
        return check(key, text) if text.strip() else None

    return parse_optional


def _name(key: str, raw: Any) -> str:
    return display_name(key, _text(key, raw))


def _address(key: str, raw: Any) -> str:
    return email_address(key, _text(key, raw))


def _login(key: str, text: str) -> str:
    return one_line(key, text, longest=254)


def _scope(key: str, text: str) -> str:
    return one_line(key, text, longest=500)


def _instant(key: str, raw: Any) -> datetime | None:
    """A day or an instant (RFC 3339); without a zone it is UTC."""
    if isinstance(raw, datetime):
        return raw
    text = _text(key, raw).strip()
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Invalid.field(key, "Enter a day, for example 2027-05-31.") from None


def _host_name(key: str, text: str) -> str:
    text = one_line(key, text, longest=253)
    if not re.fullmatch(r"[A-Za-z0-9._\[\]:-]+", text):
        raise Invalid.field(key, "Enter a host name, for example portal.example.com.")
    return text


def _one_of(values: type[StrEnum]) -> Callable[[str, Any], StrEnum]:
    def parse_choice(key: str, raw: Any) -> StrEnum:
        try:
            return values(raw)
        except ValueError:
            known = ", ".join(member.value for member in values)
            raise Invalid.field(key, f"Choose one of {known}.") from None

    return parse_choice


def _switch(key: str, raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise Invalid.field(key, "Give true or false.")
    return raw


def _whole(lowest: int, highest: int) -> Callable[[str, Any], int]:
    def parse_whole(key: str, raw: Any) -> int:
        text = str(raw).strip()
        if isinstance(raw, bool) or not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
            raise Invalid.field(key, f"Enter a whole number from {lowest} to {highest}.")
        if not lowest <= int(text) <= highest:
            raise Invalid.field(key, f"Enter a whole number from {lowest} to {highest}.")
        return int(text)

    return parse_whole


def _maybe_whole(lowest: int, highest: int) -> Callable[[str, Any], int | None]:
    inner = _whole(lowest, highest)

    def parse_maybe(key: str, raw: Any) -> int | None:
        return None if raw in (None, "") else inner(key, raw)

    return parse_maybe


def _port(key: str, raw: Any) -> int | None:
    return None if raw in (None, "") else _whole(1, 65535)(key, raw)


def _certificates(key: str, text: str) -> str:
    if holds_private_key(text):
        raise Invalid.field(
            key, "This is a private key and was not stored. Paste the CA certificate (PEM)."
        )
    # A browser sends CR LF; the same certificate must stay the same destination.
    found = _PEM.findall(text.replace("\r\n", "\n"))
    if not found:
        raise Invalid.field(key, "Paste a certificate that starts with BEGIN CERTIFICATE.")
    for pem in found:
        try:
            x509.load_pem_x509_certificate(pem.encode())
        except ValueError:
            raise Invalid.field(
                key, "This certificate cannot be read. Paste it again, whole (PEM)."
            ) from None
    return "\n".join(found) + "\n"


_REQUIRED = {
    "display_name": "Enter the name that recipients see, for example Acme Alerts.",
    "from_address": "Enter the address that mail comes from, for example alerts@example.com.",
    "server": "Enter an SMTP server, for example smtp.example.com.",
}
_PARSERS: dict[str, Callable[[str, Any], Any]] = {
    "display_name": _name,
    "from_address": _address,
    "reply_to": _optional(email_address),
    "envelope_sender": _optional(email_address),
    "server": _server,
    "port": _port,
    "encryption": _one_of(Encryption),
    "authentication": _one_of(Authentication),
    "username": _optional(_login),
    "domain": _optional(_login),
    "verify": _switch,
    "ca": _optional(_certificates),
    "allow_clear_login": _switch,
    "ehlo_name": _optional(_host_name),
    "connect_timeout": _whole(1, 120),
    "command_timeout": _whole(1, 600),
    "per_minute": _maybe_whole(1, 100_000),
    "per_day": _maybe_whole(1, 100_000_000),
    "connections": _whole(1, 100),
    "messages_per_connection": _maybe_whole(1, 1_000_000),
    "client_id": _optional(_login),
    "token_url": _optional(oauth2_rules.token_url),
    "scope": _optional(_scope),
    "client_secret_expires_at": _instant,
}
