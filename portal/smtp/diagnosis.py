"""From a failure to plain words, a cure, and what delivery does next. Pure."""

from dataclasses import dataclass

from portal.smtp import cures_by_cause, cures_login, cures_mail, cures_session, cures_token
from portal.smtp.causes import Cause
from portal.smtp.rules import Case, FailureClass, Repair, Rule, Words
from portal.smtp.values import Encryption, Failure, Phase

__all__ = ["Cause", "Diagnosis", "FailureClass", "Repair", "classify", "diagnose"]


@dataclass(frozen=True)
class Diagnosis:
    """Why it failed and what helps, in words for people; `cause` is the stable slug.

    `locks_account`: the provider locks the account after a few more wrong logins.
    """

    cause: str
    say: Words
    cure: Words
    repairs: tuple[Repair, ...]
    temporary: bool
    route_fault: bool
    locks_account: bool


def diagnose(
    failure: Failure,
    *,
    server: str | None,
    port: int | None,
    encryption: Encryption | None,
    from_address: str | None,
) -> Diagnosis:
    """The first rule that matches gives the words; every cause has one."""
    case = Case(failure, server or "", port, encryption, from_address or "")
    rule = _first(case)
    kind = classify(failure)
    return Diagnosis(
        cause=str(failure.cause),
        say=rule.say,
        cure=rule.cure,
        repairs=rule.repairs(case) if rule.repairs else (),
        temporary=kind is FailureClass.TEMPORARY,
        route_fault=kind is FailureClass.ROUTE_FAULT,
        locks_account=rule.locks_account,
    )


def classify(failure: Failure) -> FailureClass:
    """Whom the failure is about: by what the server said where that is plain, else by cause.

    A failure at QUIT is none: the mail was accepted and stays so; it never comes here.
    """
    rule = _first(Case(failure))
    if rule.fault and not _may_pass(failure):
        return rule.fault
    cause = Cause(failure.cause)
    if cause in _BY_PHASE:
        return _BY_PHASE[cause].get(failure.phase, _BY_CAUSE[cause])
    return _BY_CAUSE[cause]


_RULES: tuple[Rule, ...] = (
    *cures_token.RULES,
    *cures_session.RULES,
    *cures_login.RULES,
    *cures_mail.RULES,
    *cures_by_cause.RULES,
)

_ROUTE = FailureClass.ROUTE_FAULT
_LATER = FailureClass.TEMPORARY
_BY_CAUSE: dict[Cause, FailureClass] = {
    Cause.NAME_NOT_FOUND: _ROUTE,
    Cause.NAME_LOOKUP_FAILED: _LATER,
    Cause.FORBIDDEN_DESTINATION: _ROUTE,
    Cause.CONNECT_TIMEOUT: _ROUTE,
    Cause.CONNECT_REFUSED: _ROUTE,
    Cause.UNREACHABLE: _ROUTE,
    Cause.TLS_WRONG_VERSION: _ROUTE,
    Cause.TLS_UNTRUSTED: _ROUTE,
    Cause.TLS_WRONG_NAME: _ROUTE,
    Cause.TLS_EXPIRED: _ROUTE,
    Cause.TLS_AUTHORITY_EXPIRED: _ROUTE,
    Cause.TLS_OLD_PROTOCOL: _ROUTE,
    Cause.TLS_FAILED: _ROUTE,
    Cause.NO_GREETING: _ROUTE,
    Cause.GREETING_REFUSED: _ROUTE,
    Cause.BUSY: _LATER,
    Cause.EHLO_REFUSED: _ROUTE,
    Cause.STARTTLS_MISSING: _ROUTE,
    Cause.STARTTLS_REFUSED: _ROUTE,
    Cause.CLEAR_LOGIN_FORBIDDEN: _ROUTE,
    Cause.AUTH_MISSING: _ROUTE,
    Cause.AUTH_UNSUPPORTED: _ROUTE,
    Cause.AUTH_NTLM_ONLY: _ROUTE,
    Cause.AUTH_REFUSED: _ROUTE,
    Cause.AUTH_TEMPORARY: _LATER,
    Cause.OAUTH_UNSUPPORTED: _ROUTE,
    Cause.OAUTH_INCOMPLETE: _ROUTE,
    Cause.TOKEN_UNAVAILABLE: _ROUTE,
    Cause.TOKEN_REFUSED: _ROUTE,
    Cause.ENCRYPTION_REQUIRED: _ROUTE,
    Cause.SENDER_REFUSED: _ROUTE,
    Cause.SENDER_TEMPORARY: _LATER,
    Cause.SENDER_UNPROVEN: _ROUTE,
    Cause.ADDRESS_BLOCKED: _ROUTE,
    Cause.COMMAND_REFUSED: _ROUTE,
    Cause.RECIPIENT_REFUSED: FailureClass.RECIPIENT,
    Cause.RECIPIENT_TEMPORARY: _LATER,
    Cause.RELAY_DENIED: _ROUTE,
    Cause.QUOTA: _ROUTE,
    Cause.SIZE_EXCEEDED: FailureClass.MESSAGE,
    Cause.CONTENT_REFUSED: FailureClass.MESSAGE,
    Cause.CONTENT_TEMPORARY: _LATER,
    Cause.UTF8_NEEDED: FailureClass.MESSAGE,
    Cause.TIMEOUT: _LATER,
    Cause.CONNECTION_LOST: _LATER,
    Cause.LOST_AFTER_DOT: _LATER,
    Cause.TIMEOUT_AFTER_DOT: _LATER,
    Cause.PROTOCOL_ERROR: _LATER,
    Cause.REPLY_TOO_LONG: _LATER,
}
# A server that is silent or gone before a mail was begun is a fault of the route.
_OPENING = dict.fromkeys(
    (Phase.CONNECT, Phase.TLS, Phase.GREETING, Phase.EHLO, Phase.STARTTLS, Phase.AUTH), _ROUTE
)
_BY_PHASE: dict[Cause, dict[Phase, FailureClass]] = {
    Cause.TIMEOUT: _OPENING,
    Cause.CONNECTION_LOST: _OPENING,
    # The phase tells whose address it is (RFC 6531).
    Cause.UTF8_NEEDED: {Phase.MAIL: _ROUTE, Phase.RCPT: FailureClass.RECIPIENT},
}


def _first(case: Case) -> Rule:
    return next(rule for rule in _RULES if rule.matches(case))


def _may_pass(failure: Failure) -> bool:
    # 4yz says itself that it is temporary (RFC 5321, 4.2.1), whatever its words.
    return failure.code is not None and 400 <= failure.code <= 499
