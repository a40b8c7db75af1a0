"""The test of a sender that need not be saved, through the very client that delivers."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from portal import clock
from portal.delivery import repairs
from portal.delivery.report import Report, ReportFailure, Step
from portal.destinations import Guard
from portal.smtp import coarse as coarse_causes
from portal.smtp import observing
from portal.smtp.blocking import Session, open_session
from portal.smtp.causes import Cause
from portal.smtp.diagnosis import Diagnosis, diagnose
from portal.smtp.rules import Repair
from portal.smtp.trust import Tls
from portal.smtp.values import (
    Accepted,
    Authentication,
    Bundle,
    Encryption,
    Failure,
    Outcome,
    Phase,
    SessionFailed,
)

__all__ = ["Report", "ReportFailure", "Step", "run_test"]

# How long after the connect began an organization hears that nothing answers, in seconds. No
# connect of a coarse test lasts longer than the first, so that refused, filtered and forbidden
# take the same time.
COARSE_CONNECT = 5.0
COARSE_ANSWER = 7.0


def run_test(
    bundle: Bundle,
    *,
    to: str,
    content: bytes | None,
    guard: Guard,
    coarse: bool,
    pause: Callable[[float], None] = time.sleep,
    rotated: Callable[[str], None] | None = None,
) -> Report:
    """Opens a session and goes to the end: RSET after RCPT without content, else the final reply.

    `content` None checks the connection and sends nothing. `coarse` is for organizations: unknown,
    refused, filtered and forbidden give one answer after one time, without addresses; raw replies
    and the transcript are told only once the peer has proven by EHLO that it speaks SMTP. `pause`
    waits so many seconds; `rotated` stores the refresh token that takes the place of the bundle's.
    Never raises for what a server does.
    """
    if coarse:
        bundle = replace(bundle, connect_timeout=min(bundle.connect_timeout, COARSE_CONNECT))
    watching = _Watching(clock.utcnow(), clock.monotonic())
    outcome = _go(bundle, to, content, guard, watching, rotated)
    failure = None if isinstance(outcome, Accepted) else outcome.failure
    if coarse and failure and coarse_causes.hides(failure.cause):
        return _nothing_there(bundle, content, watching, failure, pause)
    sent = failure is None and content is not None
    report = _report(bundle, content, watching, failure, sent)
    return _without_addresses(report, watching) if coarse else report


@dataclass
class _Watching:
    """Keeps what a session shows while it goes on."""

    keeps_transcript: ClassVar[bool] = True
    started_at: datetime
    started: float
    steps: list[observing.Step] = field(default_factory=list)
    transcript: list[str] = field(default_factory=list)
    connect_began: float | None = None
    tls: Tls | None = None

    def step(self, step: observing.Step) -> None:
        self.steps.append(step)
        if step.phase is Phase.DNS and step.ok:
            self.connect_began = clock.monotonic()

    def line(self, text: str) -> None:
        if len(self.transcript) < _LONGEST_TRANSCRIPT:
            self.transcript.append(text)

    def passed(self, phase: Phase) -> bool:
        return any(step.phase is phase and step.ok for step in self.steps)

    @property
    def only_token(self) -> bool:
        """The access token was had, and the login that it is for was not reached."""
        logins = [step.ok for step in self.steps if step.phase is Phase.AUTH]
        return logins == [True] and self.steps[0].phase is Phase.AUTH

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the last EHLO was answered, without the server's name."""
        lines = self.transcript
        last = max((n for n, line in enumerate(lines) if line.startswith("C: EHLO")), default=None)
        if last is None:
            return ()
        found = []
        for line in lines[last + 1 :]:
            if not line.startswith("S: 250"):
                break
            found.append(line[7:])
        return tuple(found[1:])


_LONGEST_TRANSCRIPT = 200
_WITH_ADDRESSES = (Phase.DNS, Phase.CONNECT, Phase.POLICY)


@dataclass(frozen=True)
class _NotOpened:
    failure: Failure


def _go(
    bundle: Bundle,
    to: str,
    content: bytes | None,
    guard: Guard,
    watching: _Watching,
    rotated: Callable[[str], None] | None,
) -> Outcome | _NotOpened:
    try:
        session = open_session(bundle, guard=guard, observer=watching, rotated=rotated)
        watching.tls = session.tls
        try:
            return _hand_over(session, bundle, to, content)
        finally:
            session.close()
    except SessionFailed as failed:
        return _NotOpened(failed.failure)


def _hand_over(session: Session, bundle: Bundle, to: str, content: bytes | None) -> Outcome:
    if content is None:
        return session.probe(bundle.mail_from, to)
    return session.send(bundle.mail_from, to, content)


def _report(
    bundle: Bundle,
    content: bytes | None,
    watching: _Watching,
    failure: Failure | None,
    sent: bool,
) -> Report:
    return Report(
        passed=failure is None,
        steps=_steps(bundle, content, watching, failure),
        failure=_explained(bundle, failure) if failure else None,
        capabilities=watching.capabilities,
        tls=watching.tls,
        transcript=tuple(watching.transcript),
        started_at=watching.started_at,
        ms=_milliseconds(clock.monotonic() - watching.started),
        sent=sent,
    )


def _explained(bundle: Bundle, failure: Failure) -> ReportFailure:
    diagnosis: Diagnosis = diagnose(
        failure,
        server=bundle.server,
        port=bundle.port,
        encryption=bundle.encryption,
        from_address=bundle.from_address,
    )
    return ReportFailure(
        step=failure.phase.value,
        cause=diagnosis.cause,
        say=diagnosis.say,
        cure=diagnosis.cure,
        code=failure.code,
        enhanced_code=failure.enhanced_code,
        reply=failure.reply,
        repairs=repairs.whole(diagnosis.repairs, server=bundle.server),
        locks_account=diagnosis.locks_account,
    )


def _steps(
    bundle: Bundle, content: bytes | None, watching: _Watching, failure: Failure | None
) -> tuple[Step, ...]:
    """The steps in the order in which a session goes; those that were not reached without ok."""
    seen: dict[Phase, Step] = {}
    for step in watching.steps:
        earlier = seen[step.phase].ms if step.phase in seen else None  # EHLO again after STARTTLS
        took = _milliseconds(step.milliseconds / 1000) + (earlier or 0)
        seen[step.phase] = Step(step.phase.value, step.ok, took, step.detail)
    if watching.only_token:
        del seen[Phase.AUTH]
    if failure and (failure.phase not in seen or seen[failure.phase].ok):
        detail = failure.reply or failure.detail or ""
        seen[failure.phase] = Step(failure.phase.value, ok=False, detail=detail)
    plan = _plan(bundle, content)
    for place, phase in enumerate(seen):  # a step that no plan holds stands where it happened
        if phase not in plan:
            plan.insert(place, phase)
    return tuple(seen.get(phase, Step(phase.value)) for phase in plan)


def _plan(bundle: Bundle, content: bytes | None) -> list[Phase]:
    opening = [Phase.DNS, Phase.CONNECT]
    hello = [Phase.GREETING, Phase.EHLO]
    if bundle.encryption is Encryption.TLS:
        opening += [Phase.TLS, *hello]
    elif bundle.encryption is Encryption.STARTTLS:
        opening += [*hello, Phase.STARTTLS, Phase.TLS]
    else:
        opening += hello
    if bundle.authentication is not Authentication.NONE:
        opening.append(Phase.AUTH)
    end = [Phase.RESET] if content is None else [Phase.DATA, Phase.DOT]
    return [*opening, Phase.MAIL, Phase.RCPT, *end]


def _nothing_there(
    bundle: Bundle,
    content: bytes | None,
    watching: _Watching,
    failure: Failure,
    pause: Callable[[float], None],
) -> Report:
    """One answer for unknown, refused, filtered and forbidden, so that it tells nothing about a
    network. It offers the preset for the address, as for a name that is misspelled.

    The same for the token endpoint, which is asked first: it failed at the login then.
    """
    now = clock.monotonic()
    at_login = failure.phase is Phase.AUTH
    began = watching.started if at_login else watching.connect_began or now
    pause(max(0.0, began + COARSE_ANSWER - now))
    step = Phase.AUTH if at_login else Phase.CONNECT
    cause = coarse_causes.told(failure.cause, failure.phase) or ""
    say, cure = coarse_causes.words(cause)
    return Report(
        passed=False,
        steps=tuple(
            Step(phase.value, ok=False if phase is step else None)
            for phase in _plan(bundle, content)
        ),
        failure=ReportFailure(step.value, cause, say, cure, repairs=_preset(bundle, step)),
        capabilities=(),
        tls=None,
        transcript=(),
        started_at=watching.started_at,
        ms=_milliseconds(clock.monotonic() - watching.started),
        sent=False,
    )


def _preset(bundle: Bundle, step: Phase) -> tuple[Repair, ...]:
    if step is not Phase.CONNECT:
        return ()
    misspelled = Failure(Phase.DNS, Cause.NAME_NOT_FOUND)
    return _explained(bundle, misspelled).repairs


def _without_addresses(report: Report, watching: _Watching) -> Report:
    """What an organization may see: no address, and nothing raw of a peer that is not proven."""
    steps = tuple(
        replace(step, detail="") if step.step in _WITH_ADDRESSES else step for step in report.steps
    )
    if watching.passed(Phase.EHLO):
        return replace(report, steps=steps)
    failure = replace(report.failure, reply=None) if report.failure else None
    kept = tuple(
        step if step.step == Phase.TLS.value else replace(step, detail="") for step in steps
    )
    return replace(report, steps=kept, failure=failure, capabilities=(), transcript=())


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
