"""Mail: who delivers it, what waits, which senders fail, and whether there is a sender at all."""

from collections.abc import Iterator
from datetime import timedelta

from portal import background, jobs
from portal.cli.checks.findings import Finding, fault, fine, warning
from portal.clock import utcnow
from portal.config import ConfigError
from portal.delivery import restoring
from portal.delivery.counting import Count
from portal.delivery.lease_clock import lease_now
from portal.kinds import BY_KEY
from portal.records import queue
from portal.settings import effective
from portal.settings.effective import NoSender, NoSenderReason
from portal.vault import VaultError

# A worker looks every few seconds; what is due for so long is not being taken.
_TOO_LONG = timedelta(minutes=10)
# A server answers the end of a mail within seconds; the worker waits ten minutes for it.
_NO_ANSWER = timedelta(minutes=2)
# They say every minute that they run.
_SILENT = timedelta(minutes=3)
_NOTHING = Count(0)


def check() -> Iterator[Finding]:
    """Needs an application context, and tables of this version."""
    yield _workers()
    yield _jobs()
    yield from _waiting()
    yield from _unanswered()
    yield from _failing()
    yield _default_sender()


def _workers() -> Finding:
    alive = sum(row.is_alive for row in queue.workers())
    if not alive:
        return fault(
            "workers",
            "No worker is alive; mail is accepted and waits.",
            "Start one: portal worker, or everything at once: portal up",
        )
    return fine("workers", f"Workers that are alive: {alive}.")


def _jobs() -> Finding:
    at = jobs.last_beat(background.ROLE)
    if at is None or lease_now() - at > _SILENT:
        return fault(
            "jobs",
            "No background jobs run; approvals do not expire, and nobody is told of failing "
            "senders or of certificates and secrets that end.",
            "Start them: portal jobs, or everything at once: portal up",
        )
    return fine("jobs", "Background jobs run.")


def _waiting() -> Iterator[Finding]:
    lanes = queue.lanes()
    due = sum((lane.due for lane in lanes), _NOTHING)
    held = sum((lane.held for lane in lanes), _NOTHING)
    oldest = min((lane.oldest_due for lane in lanes if lane.oldest_due is not None), default=None)
    if oldest is None:
        yield fine("queue", "No mail is due.")
    else:
        age = utcnow() - oldest
        message = f"Mail that is due: {_told(due)}; the oldest for {age.total_seconds():.0f} s."
        cure = (
            "Look whether workers are alive and at Delivery engine among the host's pages; "
            "with too few of them start another: portal worker"
        )
        yield fault("queue", message, cure) if age > _TOO_LONG else fine("queue", message)
    if held:
        yield warning(
            "held mail",
            f"Mail that is held: {_told(held)}. What waits for a failing sender leaves by itself "
            "when that works again; all else waits for somebody to act.",
            "The sending records with the state Held name the reason of each.",
        )
    restored = restoring.count_held(None)
    if restored:
        yield warning(
            "restored mail",
            f"Mail that is held since a backup was restored: {restored}. It may have gone out "
            "since, does not leave by itself, and expires in its own time.",
            "Look through it (sending records, Held), then run: portal send-restored",
        )


def _unanswered() -> Iterator[Finding]:
    now = utcnow()
    for row in queue.unanswered(now - _NO_ANSWER):
        owner = row.organization.slug if row.organization else "the host"
        minutes = (now - row.since) // timedelta(minutes=1)
        yield warning(
            "mail on its way",
            f"The sender {row.sender.name} of {owner} waits for the answer of {row.server} for "
            f"{minutes} minutes; mail that waits so: {_told(row.count)}.",
            f"Ask who runs {row.server}, or look whether it takes mail from here. The answer to a "
            "whole mail is awaited for ten minutes.",
        )


def _failing() -> Iterator[Finding]:
    for row in queue.paused_senders():
        owner = row.organization.slug if row.organization else "the host"
        option = f" --organization {row.organization.slug}" if row.organization else ""
        cause = row.sender.last_failure_cause or "unknown cause"
        message = (
            f"The sender {row.sender.name} of {owner} fails ({cause}); held: {_told(row.held)}."
        )
        cure = f"Run: portal sender test {row.sender.name}{option} --to ADDRESS"
        # An organization's own server is that organization's to mend.
        level = warning if row.organization else fault
        yield level("failing senders", message, cure)


_CURES = {
    NoSenderReason.MAIL_OFF: "Switch it on at Mail settings of the host.",
    NoSenderReason.HOST_OFF: "Switch it on at Mail settings of the host.",
    NoSenderReason.NOT_CONFIGURED: "Add a sender at Senders of the host and make it the default.",
    NoSenderReason.NOT_ACTIVE: "Test the default sender at Senders of the host and activate it.",
}


def _default_sender() -> Finding:
    try:
        found = effective.resolve(None, BY_KEY["security.invitation"])
    except (VaultError, ConfigError):
        return fault(
            "default sender",
            "The password of the host's default sender does not open.",
            "Restore the encryption keys, or type the password again at Senders of the host.",
        )
    if isinstance(found, NoSender):
        reason = found.reason.value.replace("_", " ")
        cure = _CURES.get(found.reason, "Look at Mail settings of the host.")
        return fault("default sender", f"The host cannot send: {reason}.", cure)
    return fine("default sender", f"The host sends as {found.from_name}.")


def _told(count: Count) -> str:
    return f"{count.number} or more" if count.is_more else str(count.number)
