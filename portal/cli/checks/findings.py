"""A finding: what was looked at, how it stands, and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """A fault keeps the portal from accepting or sending mail, or its data from being safe."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """One line of the report. `cure` is empty only where all is well."""

    check: str
    level: Level
    message: str
    cure: str = ""

    def as_json(self) -> dict[str, str]:
        return {
            "check": self.check,
            "level": self.level.value,
            "message": self.message,
            "cure": self.cure,
        }


def fine(check: str, message: str) -> Finding:
    return Finding(check, Level.OK, message)


def warning(check: str, message: str, cure: str) -> Finding:
    return Finding(check, Level.WARNING, message, cure)


def fault(check: str, message: str, cure: str) -> Finding:
    return Finding(check, Level.FAULT, message, cure)
