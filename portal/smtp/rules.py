"""How a failure is recognised: rules that are tried in order, each with its words and its cure."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from flask_babel.speaklater import LazyString

from portal.smtp.causes import Cause
from portal.smtp.values import Encryption, Failure, Phase

Words: TypeAlias = str | LazyString


class FailureClass(StrEnum):
    """What a failure is about, and so what delivery does with the mail."""

    ROUTE_FAULT = "route_fault"  # the sender or its server: hold its mail, burn no attempt
    TEMPORARY = "temporary"  # try this mail again later
    RECIPIENT = "recipient"  # final for this recipient
    MESSAGE = "message"  # final for this message


@dataclass(frozen=True)
class Repair:
    """One change of the settings that is certain to be right, for one click.

    `preset_for` is an address: it is the provider preset for its domain, where there is one.
    """

    label: Words
    encryption: Encryption | None = None
    port: int | None = None
    server: str | None = None
    preset_for: str | None = None


@dataclass(frozen=True)
class Case:
    """A failure with the settings that it came from, as far as they are known."""

    failure: Failure
    server: str = ""
    port: int | None = None
    encryption: Encryption | None = None
    from_address: str = ""

    @property
    def text(self) -> str:
        """What the server said and what was found, in lower case, to look for words in."""
        return f"{self.failure.reply or ''} {self.failure.detail or ''}".lower()


@dataclass(frozen=True)
class Rule:
    """Matches where each given condition holds, and at least one of the given signs.

    Conditions: `causes`, `phases`, `codes`, `ports`, `encryptions`. Signs: `hosts` (the server's
    domain or one above it), `enhanced` codes, `words` in the reply or the detail, in lower case.
    """

    say: Words
    cure: Words
    causes: frozenset[Cause] = frozenset()
    phases: frozenset[Phase] = frozenset()
    codes: frozenset[int] = frozenset()
    ports: frozenset[int] = frozenset()
    encryptions: frozenset[Encryption] = frozenset()
    hosts: tuple[str, ...] = ()
    enhanced: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    repairs: Callable[[Case], tuple[Repair, ...]] | None = None
    fault: FailureClass | None = None
    locks_account: bool = False

    def matches(self, case: Case) -> bool:
        return self._conditions_hold(case) and self._shows_a_sign(case)

    def _conditions_hold(self, case: Case) -> bool:
        failure = case.failure
        return (
            (not self.causes or failure.cause in self.causes)
            and (not self.phases or failure.phase in self.phases)
            and (not self.codes or failure.code in self.codes)
            and (not self.ports or case.port in self.ports)
            and (not self.encryptions or case.encryption in self.encryptions)
        )

    def _shows_a_sign(self, case: Case) -> bool:
        if not (self.hosts or self.enhanced or self.words):
            return True
        return (
            case.failure.enhanced_code in self.enhanced
            or any(word in case.text for word in self.words)
            or any(f".{case.server.lower()}".endswith(f".{host}") for host in self.hosts)
        )
