"""Failures as the client reports them, and their diagnosis for a usual sender."""

from typing import Any

from portal.smtp.causes import Cause
from portal.smtp.diagnosis import Diagnosis, diagnose
from portal.smtp.replies import Reply
from portal.smtp.values import Encryption, Failure, Phase
from portal.smtp.verdicts import cause_of


def answered(phase: Phase, line: str) -> Failure:
    """The failure that a reply of the server gives."""
    reply = Reply(int(line[:3]), (line[4:],))
    return Failure(
        phase, cause_of(phase, reply), reply.code, reply.enhanced_code, reply.text, ip="192.0.2.1"
    )


def found(phase: Phase, cause: Cause, **more: Any) -> Failure:
    return Failure(phase, cause, **more)


def of(failure: Failure, server: str = "smtp.acme.example", **settings: Any) -> Diagnosis:
    defaults = {"port": 587, "encryption": Encryption.STARTTLS, "from_address": "a@acme.example"}
    return diagnose(failure, server=server, **{**defaults, **settings})
