"""Mail settings, senders and their versions. A scope is the host (organization_id NULL) or one
organization."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.address_spelling import bracketed, with_port
from portal.clock import new_id, utcnow
from portal.database import JsonColumn, UtcDateTime, text_enum
from portal.extensions import db
from portal.smtp.values import Authentication, Encryption


class Mode(StrEnum):
    INHERIT = "inherit"
    OWN = "own"
    OFF = "off"


class VersionState(StrEnum):
    """A draft has not passed its test; the active one sends; a retired one did once."""

    DRAFT = "draft"
    ACTIVE = "active"
    RETIRED = "retired"


class MailSettings(db.Model):
    """Everything of a scope that is not a sender. None in an organization means inherited.

    `scope` is "host" or the organization's id: a unique key that NULL could not give. `revision`
    counts saves, so that two people who save at once do not overwrite each other.
    """

    __tablename__ = "mail_settings"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("organizations.id"))
    scope: Mapped[str] = mapped_column(String(36), unique=True)
    revision: Mapped[int] = mapped_column(default=1)
    enabled: Mapped[bool] = mapped_column(default=True)
    mode: Mapped[Mode] = mapped_column(text_enum(Mode), default=Mode.INHERIT)
    mode_before_off: Mapped[Mode | None] = mapped_column(text_enum(Mode))
    title_prefix: Mapped[str | None] = mapped_column(String(60))
    display_name: Mapped[str | None] = mapped_column(String(200))
    reply_to: Mapped[str | None] = mapped_column(String(254))
    language: Mapped[str | None] = mapped_column(String(8))
    footer: Mapped[str | None] = mapped_column(Text)
    # As #rrggbb, in lower case.
    accent_color: Mapped[str | None] = mapped_column(String(7))
    # The name of the image in `logos`; see portal.settings.images.
    logo: Mapped[str | None] = mapped_column(String(100))
    retention_days: Mapped[int | None] = mapped_column()
    # No foreign key: senders refer to organizations and so do these; deleting a sender clears it.
    default_sender_id: Mapped[uuid.UUID | None] = mapped_column()
    fallback: Mapped[bool] = mapped_column(default=False)
    own_senders_allowed: Mapped[bool] = mapped_column(default=True)
    fallback_allowed: Mapped[bool] = mapped_column(default=True)
    daily_cap: Mapped[int | None] = mapped_column()
    allowed_destinations: Mapped[list[str]] = mapped_column(JsonColumn, default=list)


class Logo(db.Model):
    """The image behind `MailSettings.logo` of a scope, loaded only where a letter carries it."""

    __tablename__ = "logos"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("organizations.id"))
    scope: Mapped[str] = mapped_column(String(36), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class Sender(db.Model):
    """A mail account of one scope, known by its name. Its values lie in versions."""

    __tablename__ = "senders"
    __table_args__ = (
        UniqueConstraint("scope", "name"),
        Index("ix_senders_organization_id_name", "organization_id", "name"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("organizations.id"))
    scope: Mapped[str] = mapped_column(String(36))
    name: Mapped[str] = mapped_column(String(100))
    revision: Mapped[int] = mapped_column(default=1)
    enabled: Mapped[bool] = mapped_column(default=True)
    priority: Mapped[int] = mapped_column(default=100)
    # Keys of kinds, or categories, whose mail this sender carries before the default one.
    kinds: Mapped[list[str]] = mapped_column(JsonColumn, default=list)
    # Addresses and @domains that mail of another sender keeps in From when this one takes over.
    allowed_from: Mapped[list[str]] = mapped_column(JsonColumn, default=list)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    last_success_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_failure_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_failure_cause: Mapped[str | None] = mapped_column(String(64))
    consecutive_failures: Mapped[int] = mapped_column(default=0)
    next_probe_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failing_since_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failure_told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # What it had held when it worked again: how much (10001: more than 10,000), and since when.
    waited: Mapped[int | None] = mapped_column()
    waited_since_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # What was told of each credential that ends: its end and the days that were left, as text.
    expiries_told: Mapped[dict[str, str]] = mapped_column(JsonColumn, default=dict)

    versions: Mapped[list["SenderVersion"]] = relationship(
        back_populates="sender", cascade="all, delete-orphan", order_by="SenderVersion.number"
    )


class SenderVersion(db.Model):
    """One state of a sender's bundle; written once, never changed but in its state, its test and
    the refresh token that takes the place of an older one.

    `secret` and `refresh_token` are sealed by the vault with the owner, the sender and the
    destination as context. `refresh_token_given` is a keyed digest of the refresh token as a
    person gave it, whatever has taken its place since. Timeouts are seconds, rates messages.
    """

    __tablename__ = "sender_versions"
    __table_args__ = (UniqueConstraint("sender_id", "number"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    organization_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("organizations.id"))
    sender_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("senders.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column()
    state: Mapped[VersionState] = mapped_column(text_enum(VersionState))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    tested_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The end of the server's certificate as the last session, or test that passed, saw it.
    certificate_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    display_name: Mapped[str] = mapped_column(String(200))
    from_address: Mapped[str] = mapped_column(String(254))
    reply_to: Mapped[str | None] = mapped_column(String(254))
    envelope_sender: Mapped[str | None] = mapped_column(String(254))
    server: Mapped[str] = mapped_column(String(253))
    port: Mapped[int] = mapped_column()
    encryption: Mapped[Encryption] = mapped_column(text_enum(Encryption))
    verify: Mapped[bool] = mapped_column(default=True)
    ca: Mapped[str | None] = mapped_column(Text)
    authentication: Mapped[Authentication] = mapped_column(text_enum(Authentication))
    username: Mapped[str | None] = mapped_column(String(254))
    domain: Mapped[str | None] = mapped_column(String(100))
    secret: Mapped[str | None] = mapped_column(Text)
    secret_set_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    client_id: Mapped[str | None] = mapped_column(String(254))
    token_url: Mapped[str | None] = mapped_column(String(2000))
    scope: Mapped[str | None] = mapped_column(String(500))
    refresh_token: Mapped[str | None] = mapped_column(Text)
    refresh_token_given: Mapped[str | None] = mapped_column(String(64))
    client_secret_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    allow_clear_login: Mapped[bool] = mapped_column(default=False)
    ehlo_name: Mapped[str | None] = mapped_column(String(253))
    connect_timeout: Mapped[int] = mapped_column(default=10)
    command_timeout: Mapped[int] = mapped_column(default=30)
    per_minute: Mapped[int | None] = mapped_column()
    per_day: Mapped[int | None] = mapped_column()
    connections: Mapped[int] = mapped_column(default=8)
    messages_per_connection: Mapped[int | None] = mapped_column()

    sender: Mapped[Sender] = relationship(back_populates="versions")

    @property
    def place(self) -> str:
        """Server and port, to show."""
        return with_port(self.server, self.port)

    @property
    def bracketed_server(self) -> str:
        """The server, to show before a colon and a port."""
        return bracketed(self.server)


class PassedTest(db.Model):
    """A bundle, by its digest, that got the server's final 250; remembered for 30 minutes."""

    __tablename__ = "passed_tests"
    __table_args__ = (Index("ix_passed_tests_scope_digest", "scope", "digest"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    scope: Mapped[str] = mapped_column(String(36))
    digest: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    certificate_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class TestRun(db.Model):
    """One staged test, kept to limit how often a person or an organization tests."""

    __tablename__ = "sender_test_runs"
    __table_args__ = (Index("ix_sender_test_runs_scope_at", "scope", "at"),)
    __test__ = False

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    scope: Mapped[str] = mapped_column(String(36))
    actor: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    login_refused: Mapped[bool] = mapped_column(default=False)


class RotatedToken(db.Model):
    """The refresh token that a test of values that are not saved was given in place of the typed
    one, which is worth nothing from then on; kept sealed for 30 minutes, so that Save stores it.

    `key` is a keyed digest of the destination and of the token as it was typed.
    """

    __tablename__ = "rotated_tokens"
    __table_args__ = (UniqueConstraint("scope", "key"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    scope: Mapped[str] = mapped_column(String(36))
    key: Mapped[str] = mapped_column(String(64))
    sealed: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SecretDraft(db.Model):
    """A secret that was typed and not saved yet, sealed, for 15 minutes.

    It belongs to one sign-in session, scope and form, and leaves with Cancel or Save.
    """

    __tablename__ = "secret_drafts"
    __table_args__ = (UniqueConstraint("session_id", "scope", "form"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    session_id: Mapped[str] = mapped_column(String(64))
    scope: Mapped[str] = mapped_column(String(36))
    form: Mapped[str] = mapped_column(String(64))
    sealed: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
