"""Telling a sender's administrators once when it fails and once when it works again.

The mail leaves by the host's sender, never by the one that fails. A state in the sender's row, not
an event, says who has been told: a run that was lost is made up for by the next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from flask import current_app
from sqlalchemy import ColumnElement, and_, or_, select

from portal.clock import utcnow
from portal.delivery import backlog
from portal.delivery.counting import first_id_of
from portal.delivery.health import SENDER_FAILING
from portal.delivery.models import Attempt, Delivery, State
from portal.delivery.outbox import Addressee, enqueue
from portal.extensions import db
from portal.identity.models import Membership, Organization, OrganizationState, Role, User
from portal.kinds import BY_KEY, Kind
from portal.settings import effective
from portal.settings.effective import NoSender
from portal.settings.models import Sender, SenderVersion, VersionState
from portal.smtp import coarse
from portal.smtp.diagnosis import diagnose
from portal.smtp.values import Failure, Phase

# One failure may pass by itself; the first probe that fails too is worth a mail.
_FAILURES = 2
# A try that failed began at most so long before.
_LONGEST_TRY = timedelta(minutes=10)


def tell() -> int:
    """Tell of every sender whose health changed, and commit. Returns how many there were."""
    failing = and_(Sender.consecutive_failures >= _FAILURES, Sender.failure_told_at.is_(None))
    recovered = and_(Sender.consecutive_failures == 0, Sender.failure_told_at.is_not(None))
    changed = db.session.scalars(
        select(Sender).where(or_(failing, recovered)).limit(200).with_for_update(skip_locked=True)
    ).all()
    for sender in changed:
        if sender.failure_told_at is None:
            _tell_failing(sender)
            sender.failure_told_at = utcnow()
        else:
            tell_administrators("mail.sender_recovered", sender, _what_waited(sender))
            sender.failure_told_at = sender.failing_since_at = None
            sender.waited = sender.waited_since_at = None
    db.session.commit()
    return len(changed)


@dataclass(frozen=True)
class Why:
    """Why a sender fails, and what helps, as far as whom it belongs to may know."""

    reason: str
    cure: str


def why(sender: Sender) -> Why | None:
    """As in the mail that tells of it. None: it does not fail, or its last try is not kept."""
    failed_at = sender.last_failure_at
    if not sender.consecutive_failures or failed_at is None:
        return None
    attempt = db.session.scalar(
        select(Attempt)
        .join(Delivery, Delivery.id == Attempt.delivery_id)
        .where(
            Attempt.id >= first_id_of(failed_at - _LONGEST_TRY),
            Attempt.id <= first_id_of(failed_at + timedelta(seconds=1)),
            Attempt.is_route_fault,
            Delivery.sender_id == sender.id,
        )
        .order_by(Attempt.id.desc())
        .limit(1)
    )
    if attempt is None or attempt.phase not in list(Phase):
        return None
    words = _explained(sender, attempt)
    return Why(str(words["reason"]), str(words["cure"]))


def _tell_failing(sender: Sender) -> None:
    attempt = db.session.scalar(
        select(Attempt)
        .join(Delivery, Delivery.id == Attempt.delivery_id)
        .where(_held_by(sender), Attempt.is_route_fault)
        .order_by(Delivery.id.desc(), Attempt.number.desc())
        .limit(1)
    )
    words: dict[str, str | int | None] = {"cause": None, "reason": None, "cure": None}
    if attempt is not None and attempt.phase in list(Phase):
        words = _explained(sender, attempt)
    held = backlog.held_by(sender)
    waiting = held.count.up_to_more or None
    tell_administrators("mail.sender_failing", sender, words | {"waiting": waiting})


def _explained(sender: Sender, attempt: Attempt) -> dict[str, str | int | None]:
    """Why it fails, as far as whom it belongs to may know. `cause` is for letters in languages
    that have words of their own for it."""
    cause = attempt.cause or ""
    if sender.organization_id is not None and coarse.hides(cause):
        told = coarse.told(cause, attempt.phase) or ""
        say, cure = coarse.words(told)
        return {"cause": told, "reason": str(say), "cure": str(cure)}
    version = effective.version_of(sender, VersionState.ACTIVE)
    diagnosis = diagnose(
        Failure(
            Phase(attempt.phase or ""), cause, attempt.code, attempt.enhanced_code, attempt.reply
        ),
        server=version.server if version else None,
        port=version.port if version else None,
        encryption=version.encryption if version else None,
        from_address=version.from_address if version else None,
    )
    return {"cause": cause, "reason": str(diagnosis.say), "cure": str(diagnosis.cure)}


def _what_waited(sender: Sender) -> dict[str, str | int | None]:
    """How much it was, since when, and how long the sender had failed."""
    held = backlog.held_by(sender)
    waited = held.count.up_to_more if sender.waited is None else sender.waited
    since = sender.waited_since_at or held.since
    begin, end = sender.failing_since_at, sender.last_success_at
    if end is None or (begin is not None and end < begin):
        end = utcnow()  # its settings were mended, and nothing has gone out since
    return {
        "waiting": waited,
        "waiting_since_at": since.isoformat() if since and waited else None,
        "works_since_at": end.isoformat(),
        "lasted": round((end - begin).total_seconds()) if begin else None,
    }


def tell_administrators(key: str, sender: Sender, more: Mapping[str, str | int | None]) -> bool:
    """Write to who administers the sender's scope, by the host's sender. Commits nothing.

    Returns whether there was a way and somebody to write to.
    """
    kind = BY_KEY[key]
    if not _another_way(sender, kind):
        return False
    organization = (
        db.session.get(Organization, sender.organization_id) if sender.organization_id else None
    )
    if organization is not None and organization.state is OrganizationState.DELETED:
        return False
    people = _administrators(organization)
    if not people:
        return False
    enqueue(
        None,
        kind,
        data=_data(sender, organization) | dict(more),
        addressees=[
            Addressee(user.email, user.id, user.language, user.timezone) for user in people
        ],
        resource=sender.name,
        thread=f"sender-{sender.id.hex}",
    )
    return True


def _another_way(sender: Sender, kind: Kind) -> bool:
    """Whether the host can write without this sender; else only its pages tell."""
    senders = effective.routes(None, kind)
    works = sender.consecutive_failures == 0
    return not isinstance(senders, NoSender) and any(
        works or other.id != sender.id for other in senders
    )


def _data(sender: Sender, organization: Organization | None) -> dict[str, str | None]:
    version = effective.version_of(sender, VersionState.ACTIVE)
    place = f"/organizations/{organization.slug}" if organization else "/host"
    return {
        "owner_name": organization.name if organization else effective.platform_name(),
        "sender_name": sender.name,
        "server": _server(version),
        "since_at": sender.failing_since_at.isoformat() if sender.failing_since_at else None,
        "waiting": None,
        "sender_url": f"{current_app.extensions['config'].base_url}{place}/senders/{sender.id}",
    }


def _server(version: SenderVersion | None) -> str | None:
    return version.place if version else None


def _held_by(sender: Sender) -> ColumnElement[bool]:
    return and_(
        Delivery.state == State.HELD,
        Delivery.reason == SENDER_FAILING,
        Delivery.sender_id == sender.id,
    )


def _administrators(organization: Organization | None) -> Sequence[User]:
    wanted = select(User).where(User.verified_at.is_not(None)).order_by(User.id)
    if organization is None:
        return db.session.scalars(wanted.where(User.is_system_administrator)).all()
    return db.session.scalars(
        wanted.join(Membership, Membership.user_id == User.id).where(
            Membership.organization_id == organization.id,
            Membership.role == Role.ADMINISTRATOR,
        )
    ).all()
