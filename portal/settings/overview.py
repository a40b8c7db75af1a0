"""How mail goes out now, in one value a scope, and who uses the host. Opens no secret."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import or_, select
from sqlalchemy.orm import selectinload

from portal.extensions import db
from portal.identity.models import Organization, OrganizationState
from portal.settings import effective
from portal.settings.effective import NoSender, NoSenderReason
from portal.settings.models import MailSettings, Mode, Sender, SenderVersion, VersionState
from portal.settings.scope import HOST, Scope
from portal.smtp import coarse


class Health(StrEnum):
    OFF = "off"
    NOT_CONFIGURED = "not_configured"
    INHERITED = "inherited"
    NOT_TESTED = "not_tested"
    DELIVERING = "delivering"
    FAILING = "failing"


_WITHOUT_SENDER = {
    NoSenderReason.MAIL_OFF: Health.OFF,
    NoSenderReason.HOST_OFF: Health.OFF,
    NoSenderReason.NOT_CONFIGURED: Health.NOT_CONFIGURED,
    NoSenderReason.NOT_ACTIVE: Health.NOT_TESTED,
    NoSenderReason.NOT_ALLOWED: Health.NOT_CONFIGURED,
    NoSenderReason.SUSPENDED: Health.OFF,
}


@dataclass(frozen=True)
class Route:
    """Through which sender and as whom mail of a scope goes at this moment.

    Without `sender` there is none, and `reason` says why.
    """

    health: Health
    sender: Sender | None = None
    version: SenderVersion | None = None
    from_name: str = ""
    by_host: bool = False
    reason: NoSenderReason | None = None


@dataclass(frozen=True)
class Use:
    """How one organization stands to the host's defaults."""

    organization: Organization
    mode: Mode
    health: Health
    is_suspended: bool = False


def route(organization: Organization | None) -> Route:
    """The way of ordinary mail; None: of the host's own."""
    chosen = effective.choose(organization)
    if isinstance(chosen, NoSender):
        return Route(_WITHOUT_SENDER[chosen.reason], reason=chosen.reason)
    owner = Scope(chosen.organization_id)
    version = effective.version_of(chosen, VersionState.ACTIVE)
    assert version is not None  # `choose` returns only what can send
    from_name, _ = effective.as_whom(owner, version, organization)
    health = health_of(chosen)
    by_host = organization is not None and owner.is_host
    if by_host and health is not Health.FAILING:
        health = Health.INHERITED
    return Route(health, chosen, version, from_name, by_host)


def health_of(sender: Sender) -> Health:
    active = effective.version_of(sender, VersionState.ACTIVE)
    if not sender.enabled:
        return Health.OFF
    if active is None:
        return Health.NOT_TESTED
    if sender.consecutive_failures:
        return Health.FAILING
    if active.tested_at is None and sender.last_success_at is None:
        return Health.NOT_TESTED
    return Health.DELIVERING


def failing(scope: Scope, *, limit: int) -> list[Sender]:
    """The senders of the scope that are switched on and fail, those that fail longest first."""
    found = select(Sender).where(
        Sender.scope == scope.key,
        Sender.enabled,
        or_(Sender.consecutive_failures > 0, Sender.next_probe_at.is_not(None)),
    )
    return list(
        db.session.scalars(found.order_by(Sender.failing_since_at, Sender.name).limit(limit))
    )


def told_cause(sender: Sender) -> str | None:
    """Why the sender failed last, as far as whom it belongs to may know."""
    cause = sender.last_failure_cause
    return coarse.told(cause) if sender.organization_id is not None else cause


def uses_of_host() -> list[Use]:
    """Every organization by name, with how it stands to the host's defaults."""
    rows = db.session.execute(
        select(Organization, MailSettings, Sender)
        .outerjoin(MailSettings, MailSettings.organization_id == Organization.id)
        .outerjoin(
            Sender,
            (Sender.id == MailSettings.default_sender_id)
            & (Sender.organization_id == Organization.id),
        )
        .where(Organization.state != OrganizationState.DELETED)
        .options(selectinload(Sender.versions))
        .order_by(Organization.name, Organization.id)
    ).all()
    return [_use(*row) for row in rows]


def host_is_off() -> bool:
    return not effective.settings_of(HOST).enabled


def _use(organization: Organization, settings: MailSettings | None, default: Sender | None) -> Use:
    mode = settings.mode if settings else Mode.INHERIT
    if organization.state is OrganizationState.SUSPENDED:
        return Use(organization, mode, Health.OFF, is_suspended=True)
    if mode is Mode.INHERIT:
        return Use(organization, mode, Health.INHERITED)
    if mode is Mode.OFF:
        return Use(organization, mode, Health.OFF)
    is_locked = settings is not None and not settings.own_senders_allowed
    if is_locked or default is None or not default.enabled:
        return Use(organization, mode, Health.NOT_CONFIGURED)
    return Use(organization, mode, health_of(default))
