"""Testing a sender that need not be saved: limits, the bundle of the form, the record of the mail.

Check connection sends nothing. Send test mail sends a real message by exactly these values, and
leaves a sending record like every other mail.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import func, select

from portal.address_spelling import with_port
from portal.audit import log as audit
from portal.audit.log import Actor
from portal.clock import new_id, utcnow
from portal.delivery import health, identity, rotating
from portal.delivery.claims import LEASE
from portal.delivery.guards import guard_for
from portal.delivery.lease_clock import lease_now
from portal.delivery.models import (
    Attempt,
    AttemptOutcome,
    Delivery,
    Level,
    Payload,
    State,
)
from portal.delivery.report import Report
from portal.delivery.staged_test import run_test
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import BY_KEY
from portal.letters.compose import Letter, compose
from portal.settings import effective, locks, senders
from portal.settings.models import Sender, TestRun, VersionState
from portal.settings.scope import Scope
from portal.settings.senders import Candidate, Clear, Keep, SecretChange
from portal.smtp.causes import Cause
from portal.smtp.message import UnsafeMessage, build_message, make_message_id
from portal.smtp.values import Bundle
from portal.validation import Invalid, email_address

_KIND = BY_KEY["mail.test"]
_WINDOW = timedelta(minutes=10)
_PER_ACTOR = 30
_PER_SCOPE = 60
# Some providers lock an account after a few wrong logins (163, Yahoo).
_REFUSALS = 3
_COOL_DOWN = timedelta(minutes=5)
_UNKNOWN = (Cause.LOST_AFTER_DOT.value, Cause.TIMEOUT_AFTER_DOT.value)


class TooManyTests(Exception):
    """The limit of tests is reached. `retry_after` is seconds."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"Too many tests; try again in {retry_after} seconds.")


def run(
    organization: Organization | None,
    sender: Sender | None,
    raw: Mapping[str, Any],
    *,
    name: str,
    secret: SecretChange,
    to: str,
    check_only: bool,
    actor: Actor,
) -> Report:
    """Test these values, laid over the sender's stored ones.

    Commits before and after the network, never during. A passed real test is remembered for 30
    minutes, so that saving the same values activates them. Raises Invalid, also where the host
    forbids own senders, and TooManyTests.
    """
    scope = Scope.of(organization)
    locks.check_own_senders(scope)
    to = email_address("to", to)
    checked = senders.candidate(scope, sender, raw, secret=secret, actor=actor)
    test_run = _admit(scope, actor)
    bundle = effective.bundle_from(
        scope, name, checked.values, checked.secret, refresh_token=checked.refresh_token
    )
    guard = guard_for(scope)
    record = content = None
    if not check_only:
        try:
            record, content = _begin(organization, bundle, to=to, actor=actor)
        except UnsafeMessage as problem:
            message = f"No mail can be written with these values: {problem}"
            raise Invalid.field("from_address", message) from None
    _audit(scope, name, actor, to=to, check_only=check_only)
    record_id = record.id if record else None
    run_id, sender_id = test_run.id, sender.id if sender else None
    db.session.commit()  # gives the connection back: the network may take its time
    report = run_test(
        bundle,
        to=to,
        content=content,
        guard=guard,
        coarse=not actor.is_host,
        rotated=rotating.of_candidate(scope, checked),
    )
    _finish(
        scope,
        report,
        checked,
        record_id=record_id,
        run_id=run_id,
        sender_id=sender_id,
        actor=actor,
    )
    return report


def _admit(scope: Scope, actor: Actor) -> TestRun:
    """Count this test. Raises TooManyTests."""
    now = utcnow()
    who = f"{actor.type.value}:{actor.id}"
    recent = select(func.count(), func.min(TestRun.at)).where(TestRun.at > now - _WINDOW)
    for limit, mine in (
        (_PER_ACTOR, TestRun.actor == who),
        (_PER_SCOPE, TestRun.scope == scope.key),
    ):
        count, oldest = db.session.execute(recent.where(mine)).one()
        if count >= limit:
            raise TooManyTests(_seconds(oldest + _WINDOW - now))
    last = db.session.scalars(
        select(TestRun)
        .where(TestRun.scope == scope.key)
        .order_by(TestRun.at.desc())
        .limit(_REFUSALS)
    ).all()
    refused = len(last) == _REFUSALS and all(run.login_refused for run in last)
    if refused and now - last[0].at < _COOL_DOWN:
        raise TooManyTests(_seconds(last[0].at + _COOL_DOWN - now))
    row = TestRun(scope=scope.key, actor=who, at=now)
    db.session.add(row)
    db.session.flush()
    return row


def _seconds(wait: timedelta) -> int:
    return max(1, int(wait.total_seconds()) + 1)


def _begin(
    organization: Organization | None, bundle: Bundle, *, to: str, actor: Actor
) -> tuple[Delivery, bytes]:
    """The record of the mail before it goes out, and the mail itself."""
    now = utcnow()
    data = {
        "sender_name": bundle.name,
        "server": with_port(bundle.server, bundle.port),
        "level": _level(bundle).value,
        "asked_by": actor.name,
    }
    written_as, images = identity.with_images(organization, _KIND)
    letter = compose(
        _KIND,
        data,
        identity=written_as,
        language=identity.known(identity.language(organization, None)),
    )
    organization_id = organization.id if organization else None
    payload = Payload(id=new_id(), organization_id=organization_id, kind=_KIND.key, data=data)
    record = _record(payload, bundle, letter, to=to, actor=actor, now=now)
    db.session.add(payload)
    db.session.flush()
    db.session.add(record)
    content = build_message(
        message_id=record.message_id,
        date=now,
        from_name=bundle.display_name,
        from_address=bundle.from_address,
        to_address=to,
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        reply_to=bundle.reply_to,
        images=images,
    )
    return record, content


def _record(
    payload: Payload, bundle: Bundle, letter: Letter, *, to: str, actor: Actor, now: datetime
) -> Delivery:
    """As of a mail whose final dot is out: nobody else sends it."""
    return Delivery(
        id=new_id(),
        organization_id=payload.organization_id,
        payload_id=payload.id,
        kind=_KIND.key,
        priority=int(_KIND.priority),
        recipient=to,
        language=letter.language,
        subject=letter.subject,
        message_id=make_message_id(bundle.from_address, current_app.extensions["config"].base_host),
        state=State.SENDING,
        sender=bundle.name,
        level=_level(bundle),
        server=bundle.server,
        requested_from=actor.ip,
        attempt_count=1,
        created_at=now,
        expires_at=now + LEASE,
        lease_owner="test",
        # Should this process die, the record ends as unknown once no test can still be running.
        lease_until=lease_now() + timedelta(minutes=15),
        dot_pending=True,
        attempts=[
            Attempt(
                organization_id=payload.organization_id,
                number=1,
                started_at=now,
                sender=bundle.name,
                server=bundle.server,
            )
        ],
    )


def _level(bundle: Bundle) -> Level:
    return Level.HOST if bundle.owner == "host" else Level.ORGANIZATION


def _finish(
    scope: Scope,
    report: Report,
    checked: Candidate,
    *,
    record_id: uuid.UUID | None,
    run_id: uuid.UUID,
    sender_id: uuid.UUID | None,
    actor: Actor,
) -> None:
    refused = report.failure is not None and report.failure.cause == Cause.AUTH_REFUSED
    if refused and (row := db.session.get(TestRun, run_id)) is not None:
        row.login_refused = True
    if record_id is not None:
        _settle(db.session.get_one(Delivery, record_id), report)
        if report.passed:
            seen = report.tls.not_after if report.tls else None
            senders.remember_pass(scope, checked, certificate_expires_at=seen)
            db.session.flush()
            _activate_draft(scope, checked, sender_id, actor)
            _note_active(checked, sender_id, seen)
    if report.passed:
        _go_on(checked, sender_id)
    db.session.commit()


def _activate_draft(
    scope: Scope, checked: Candidate, sender_id: uuid.UUID | None, actor: Actor
) -> None:
    """A stored draft that has just passed, as it is stored, sends from now on."""
    sender = db.session.get(Sender, sender_id) if sender_id else None
    draft = effective.version_of(sender, VersionState.DRAFT) if sender else None
    if sender is None or draft is None or not isinstance(checked.secret_change, Keep | Clear):
        return
    # Forbidden while the test ran: the draft stays one, and the record of the mail is settled.
    if effective.values_of(draft) == checked.values and not locks.forbids_sending(scope, draft):
        senders.activate(scope, sender, actor=actor)


def _note_active(
    checked: Candidate, sender_id: uuid.UUID | None, certificate_expires_at: datetime | None
) -> None:
    """The stored values of the version that sends were tested: its certificate is known anew."""
    if sender := _as_it_sends(checked, sender_id):
        senders.note_pass(sender, certificate_expires_at=certificate_expires_at)


def _go_on(checked: Candidate, sender_id: uuid.UUID | None) -> None:
    """What a paused sender holds need not wait for a probe: the test was one."""
    if sender := _as_it_sends(checked, sender_id):
        health.works(sender)


def _as_it_sends(checked: Candidate, sender_id: uuid.UUID | None) -> Sender | None:
    """The sender, where the values that were tested are those of its version that sends."""
    sender = db.session.get(Sender, sender_id) if sender_id else None
    active = effective.version_of(sender, VersionState.ACTIVE) if sender else None
    if sender is None or active is None or not isinstance(checked.secret_change, Keep | Clear):
        return None
    return sender if effective.values_of(active) == checked.values else None


def _settle(record: Delivery, report: Report) -> None:
    attempt = record.attempts[0]
    attempt.ms = report.ms
    attempt.phases = [
        {"phase": step.step, "ok": step.ok, "ms": step.ms or 0}
        for step in report.steps
        if step.ok is not None
    ]
    attempt.tls = report.tls.version if report.tls else None
    failure = report.failure
    if failure is None:
        record.state, attempt.outcome = State.ACCEPTED, AttemptOutcome.ACCEPTED
        record.accepted_at = utcnow()
        record.reply = attempt.reply = report.steps[-1].detail or None
        record.code = attempt.code = 250
    else:
        unknown = failure.cause in _UNKNOWN
        record.state = State.UNKNOWN if unknown else State.FAILED
        attempt.outcome = AttemptOutcome.UNKNOWN if unknown else AttemptOutcome.FAILED
        record.reason = attempt.cause = failure.cause
        attempt.phase = failure.step
        record.code = attempt.code = failure.code
        record.reply = attempt.reply = failure.reply
    record.lease_owner = record.lease_until = None
    record.dot_pending = False


def _audit(scope: Scope, name: str, actor: Actor, *, to: str, check_only: bool) -> None:
    audit.record(
        actor,
        "sender.checked" if check_only else "sender.test_mail",
        organization_id=scope.organization_id,
        object_type="sender",
        object_id=name,
        # The address is a person's; that one was written to is enough for the log.
        changes={"to_domain": {"after": to.rpartition("@")[2]}},
    )
