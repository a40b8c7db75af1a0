"""What belongs to a sender itself and not to a version of its bundle: it counts at once and needs
no test."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from portal.audit import log as audit
from portal.kinds import BY_KEY, Category
from portal.settings import platform_addresses
from portal.settings.models import Sender
from portal.settings.scope import Scope
from portal.validation import FieldError, Invalid, address_key, email_address

OWN_KEYS = ("priority", "kinds", "allowed_from")
_MOST_ADDRESSES = 100
KINDS = (*(category.value for category in Category), *BY_KEY)
_SECURITY = (Category.SECURITY.value, *(key for key, kind in BY_KEY.items() if kind.is_security))


def kinds_of(*, at_host: bool) -> tuple[str, ...]:
    """What a sender may carry first: security mail leaves by the host's senders whatever an
    organization chose."""
    return KINDS if at_host else tuple(kind for kind in KINDS if kind not in _SECURITY)


def parse(raw: Mapping[str, Any], *, at_host: bool) -> dict[str, Any]:
    """The given ones of these keys, checked; `at_host`: the sender belongs to the host. Raises
    Invalid with every wrong one."""
    values: dict[str, Any] = {}
    errors: list[FieldError] = []
    kinds = partial(_kinds, known=kinds_of(at_host=at_host))
    checks: dict[str, Callable[[str, Any], Any]] = {
        "priority": _priority,
        "kinds": kinds,
        "allowed_from": _addresses,
    }
    for key, check in checks.items():
        if raw.get(key) in (None, ""):
            continue
        try:
            values[key] = check(key, raw[key])
        except Invalid as refused:
            errors += refused.errors
    if errors:
        raise Invalid(errors)
    return values


def parse_for(scope: Scope, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a sender of this scope, which may not bear an address of the platform."""
    values = parse(raw, at_host=scope.is_host)
    errors = platform_addresses.errors_of_allowed(scope, values.get("allowed_from", ()))
    if errors:
        raise Invalid(errors)
    return values


def assign(sender: Sender, values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Set them; returns what changed, with before and after."""
    before = {key: getattr(sender, key) for key in values}
    for key, value in values.items():
        setattr(sender, key, value)
    return audit.difference(before, values)


def may_bear(sender: Sender, address: str) -> bool:
    """Whether mail through this sender may keep another sender's From address.

    Not one that a server must first offer to take (SMTPUTF8).
    """
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        return False
    allowed = {address_key(entry) for entry in sender.allowed_from}
    return bool(allowed & {address_key(address), address_key(f"@{domain}")})


def _priority(key: str, raw: Any) -> int:
    text = str(raw).strip()
    sound = not isinstance(raw, bool) and re.fullmatch(r"[0-9]{1,9}", text, re.ASCII)
    if not sound or int(text) > 10_000:
        raise Invalid.field(key, "Enter a whole number from 0 to 10000.")
    return int(text)


def _kinds(key: str, raw: Any, *, known: tuple[str, ...]) -> list[str]:
    """Without doubles, in the order of the registry, so that one choice has one spelling."""
    if not isinstance(raw, list | tuple):
        raise Invalid.field(key, "Give a list of kinds, for example alert or approval.requested.")
    wrong = next((entry for entry in raw if entry not in known), None)
    if wrong is not None:
        why = f"There is no kind {str(wrong)[:100]!r}."
        if wrong in _SECURITY:
            why = f"Leave out {wrong}: security mail always goes by the platform's sender."
        raise Invalid.field(key, f"{why} Known: {', '.join(known)}.")
    return [kind for kind in known if kind in raw]


def _addresses(key: str, raw: Any) -> list[str]:
    """Addresses and @domains, each once, in the order given."""
    if not isinstance(raw, list | tuple) or not all(isinstance(entry, str) for entry in raw):
        raise Invalid.field(key, "Give a list of addresses and domains, for example @example.com.")
    if len(raw) > _MOST_ADDRESSES:
        raise Invalid.field(key, f"Give at most {_MOST_ADDRESSES}; there are {len(raw)}.")
    return list(dict.fromkeys(_address(key, entry) for entry in raw))


def _address(key: str, entry: str) -> str:
    """A domain stands for every address in it, and is kept with its @."""
    text = entry.strip()
    is_domain = text.startswith("@") or "@" not in text
    try:
        found = email_address(key, f"all@{text.removeprefix('@')}" if is_domain else text)
    except Invalid:
        raise Invalid.field(
            key,
            f"{text[:100]!r} is neither an address nor a domain. Write for example "
            "alerts@example.com or @example.com.",
        ) from None
    return found.removeprefix("all") if is_domain else found
