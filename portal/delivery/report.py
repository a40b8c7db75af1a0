"""What a staged test found, as values, and in the shape of the API."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from portal.smtp.rules import Repair, Words
from portal.smtp.trust import Tls


@dataclass(frozen=True)
class Step:
    """One step of a session. `ok` None: not reached. `ms` None: no time to tell."""

    step: str
    ok: bool | None = None
    ms: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class ReportFailure:
    """Why the test did not pass. `cause` is the stable slug, `say` the plain words."""

    step: str
    cause: str
    say: Words
    cure: Words
    code: int | None = None
    enhanced_code: str | None = None
    reply: str | None = None
    repairs: tuple[Repair, ...] = ()
    locks_account: bool = False


@dataclass(frozen=True)
class Report:
    """The result of a staged test. `sent`: the server took a real message (its final 250).

    `capabilities` are the lines of the last EHLO; the transcript has its secrets masked. `ms`
    counts from start to answer.
    """

    passed: bool
    steps: tuple[Step, ...]
    failure: ReportFailure | None
    capabilities: tuple[str, ...]
    tls: Tls | None
    transcript: tuple[str, ...]
    started_at: datetime
    ms: int
    sent: bool

    def as_json(self) -> dict[str, Any]:
        """The staged report of the API: words are given in the language in force."""
        report: dict[str, Any] = {
            "passed": self.passed,
            "sent": self.sent,
            "started_at": _rfc3339(self.started_at),
            "ms": self.ms,
            "steps": [asdict(step) for step in self.steps],
            "capabilities": list(self.capabilities),
            "tls": _tls(self.tls),
            "transcript": list(self.transcript),
        }
        if self.failure:
            report["failure"] = _failure(self.failure)
        return report


def _failure(failure: ReportFailure) -> dict[str, Any]:
    return {
        "step": failure.step,
        "code": failure.code,
        "enhanced_code": failure.enhanced_code,
        "reply": failure.reply,
        "reason": failure.cause,
        "cause": str(failure.say),
        "cure": str(failure.cure),
        "repairs": [_repair(repair) for repair in failure.repairs],
    }


def _repair(repair: Repair) -> dict[str, Any]:
    return {
        "label": str(repair.label),
        "server": repair.server,
        "encryption": repair.encryption and repair.encryption.value,
        "port": repair.port,
        "preset_for": repair.preset_for,
    }


def _tls(tls: Tls | None) -> dict[str, Any] | None:
    if tls is None:
        return None
    return {
        "version": tls.version,
        "cipher": tls.cipher,
        "verified": tls.verified,
        "subject": tls.subject,
        "issuer": tls.issuer,
        "names": list(tls.sans),
        "not_after": tls.not_after and _rfc3339(tls.not_after),
    }


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
