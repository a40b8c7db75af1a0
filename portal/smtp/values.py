"""The values that pass between the SMTP client and its callers: no table, no socket."""

from dataclasses import dataclass, field
from enum import StrEnum


class Encryption(StrEnum):
    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class Authentication(StrEnum):
    NONE = "none"
    PASSWORD = "password"
    OAUTH2_CLIENT_CREDENTIALS = "oauth2_client_credentials"
    OAUTH2_SERVICE_ACCOUNT = "oauth2_service_account"
    OAUTH2_REFRESH_TOKEN = "oauth2_refresh_token"

    @property
    def is_oauth2(self) -> bool:
        """A login by an access token (XOAUTH2) instead of a password."""
        return self not in (Authentication.NONE, Authentication.PASSWORD)


class Phase(StrEnum):
    """Where in a session something happened, in the order in which a session goes."""

    POLICY = "policy"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    DOT = "dot"
    RESET = "reset"
    QUIT = "quit"


@dataclass(frozen=True)
class Bundle:
    """One sender, whole: everything that opens a session and stands in From.

    `owner` is "host" or the id of an organization; a bundle never mixes owners. Timeouts are
    seconds. `secret` is what the authentication needs in clear: the password, the OAuth2 client's
    secret, or a service account's private key (PEM, or the provider's key file). It and
    `refresh_token` are kept out of repr and live only in memory. `client_id`, `token_url` and
    `scope` belong to OAuth2; a service account's client id is its address. `connections` is how
    many may be open at once, `messages_per_connection` after how many mails one is replaced;
    `per_minute` and `per_day` are how many mails it may be handed.
    """

    owner: str
    name: str
    from_address: str
    display_name: str
    server: str
    port: int
    encryption: Encryption
    authentication: Authentication = Authentication.NONE
    username: str | None = None
    domain: str | None = None
    secret: str | None = field(default=None, repr=False)
    reply_to: str | None = None
    envelope_sender: str | None = None
    verify: bool = True
    ca: str | None = None
    allow_clear_login: bool = False
    ehlo_name: str | None = None
    connect_timeout: float = 10.0
    command_timeout: float = 30.0
    version: str | None = None
    client_id: str | None = None
    token_url: str | None = None
    scope: str | None = None
    refresh_token: str | None = field(default=None, repr=False)
    connections: int = 8
    messages_per_connection: int | None = None
    per_minute: int | None = None
    per_day: int | None = None

    @property
    def login_name(self) -> str:
        """`DOMAIN\\user` where a domain is set (Exchange), else the user name, else From."""
        user = self.username or self.from_address
        return f"{self.domain}\\{user}" if self.domain else user

    @property
    def mail_from(self) -> str:
        """The envelope sender (RFC 5321, MAIL FROM)."""
        return self.envelope_sender or self.from_address


@dataclass(frozen=True)
class Failure:
    """Why a session or a transaction did not succeed.

    `cause` is a stable slug from `portal.smtp.diagnosis.Cause`. `code` is the three-digit reply,
    `enhanced_code` per RFC 3463, `reply` the server's text made safe to show (no control
    characters, no secret, at most 500 characters); each None where no reply came. `ip` is the
    peer that was reached, if any. `chosen` holds the words of the mail that the reply may echo
    (`portal.smtp.said`); they live only in memory.
    """

    phase: Phase
    cause: str
    code: int | None = None
    enhanced_code: str | None = None
    reply: str | None = None
    ip: str | None = None
    detail: str | None = None
    chosen: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True)
class Accepted:
    """The server's final 250 after the dot. `reply` usually holds its queue id."""

    code: int
    reply: str
    ip: str


@dataclass(frozen=True)
class Refused:
    """A reply or a loss that came before the server could have taken the message."""

    failure: Failure


@dataclass(frozen=True)
class Unknown:
    """The final dot went out and no reply came: the message may have arrived."""

    failure: Failure


Outcome = Accepted | Refused | Unknown


class SessionFailed(Exception):
    """A session could not be opened; nothing was handed over."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(f"{failure.phase}: {failure.cause}")
