"""How a failure is recognised: rules that are tried in order, each with its words and its cure."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

from flask_babel.speaklater import LazyString

from portal.smtp.causes import Cause
from portal.smtp.said import by_itself, is_of_the_recipient, says
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

    @cached_property
    def _text(self) -> str:
        said = by_itself(self.failure.phase, self.failure.reply or "")
        return f"{said} {self.failure.detail or ''}".lower()

    @property
    def is_of_the_recipient(self) -> bool:
        """Whether the enhanced code says so, whatever the words."""
        return is_of_the_recipient(self.failure.phase, self.failure.enhanced_code)

    def says(self, word: str) -> bool:
        """Whether it stands in what the server said by itself, or in what was found."""
        return says(word, self._text, self.failure.chosen)


@dataclass(frozen=True)
class Rule:
    """Matches where each given condition holds, and at least one of the given signs.

    Conditions: `causes`, `phases`, `codes`, `ports`, `encryptions`. Signs: `hosts` (the server's
    domain or one above it), `enhanced` codes, `words` in the reply or the detail, in lower case.
    A fault of the route is never read out of a reply whose code speaks of the recipient.
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
            not (self.fault is FailureClass.ROUTE_FAULT and case.is_of_the_recipient)
            and (not self.causes or failure.cause in self.causes)
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
            or any(case.says(word) for word in self.words)
            or any(f".{case.server.lower()}".endswith(f".{host}") for host in self.hosts)
        )
