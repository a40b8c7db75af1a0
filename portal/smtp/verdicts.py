"""What a refusing reply means, by the phase in which it came. Pure; the words are elsewhere."""

import re

from portal.smtp.causes import Cause
from portal.smtp.replies import Reply
from portal.smtp.said import by_itself, is_of_the_recipient, says
from portal.smtp.values import Phase

_REFUSED = {
    Phase.GREETING: Cause.GREETING_REFUSED,
    Phase.EHLO: Cause.EHLO_REFUSED,
    Phase.STARTTLS: Cause.STARTTLS_REFUSED,
    Phase.AUTH: Cause.AUTH_REFUSED,
    Phase.MAIL: Cause.SENDER_REFUSED,
    Phase.RCPT: Cause.RECIPIENT_REFUSED,
    Phase.DATA: Cause.CONTENT_REFUSED,
    Phase.DOT: Cause.CONTENT_REFUSED,
}
_LATER = {
    Phase.GREETING: Cause.BUSY,
    Phase.EHLO: Cause.BUSY,
    Phase.STARTTLS: Cause.STARTTLS_REFUSED,
    Phase.AUTH: Cause.AUTH_TEMPORARY,
    Phase.MAIL: Cause.SENDER_TEMPORARY,
    Phase.RCPT: Cause.RECIPIENT_TEMPORARY,
    Phase.DATA: Cause.CONTENT_TEMPORARY,
    Phase.DOT: Cause.CONTENT_TEMPORARY,
}
# Beside X.4.5: what providers answer when a day's or a month's sending is used up.
_QUOTA_WORDS = ("sending quota", "daily quota", "monthly quota", "sending limit")
# The word alone: not in the name of a computer.
_RELAY = re.compile(r"(?<![\w.@=+-])relay(?:s|ing|ed)?(?![\w@=+-]|\.\w)")


def cause_of(phase: Phase, reply: Reply, chosen: str = "") -> Cause:
    """The cause behind a reply that is not the expected one.

    `chosen`: the words of the mail that it may echo, as `portal.smtp.said` gives them.
    """
    if not 400 <= reply.code <= 599:
        return Cause.PROTOCOL_ERROR
    if reply.code == 421 and phase not in (Phase.AUTH, Phase.STARTTLS):
        return Cause.BUSY
    if _wants_encryption(reply):
        return Cause.ENCRYPTION_REQUIRED
    if reply.code < 500:
        return _LATER.get(phase, Cause.PROTOCOL_ERROR)
    return _special(phase, reply, chosen) or _REFUSED.get(phase, Cause.PROTOCOL_ERROR)


def _wants_encryption(reply: Reply) -> bool:
    # RFC 3207 and RFC 4954: "530 Must issue a STARTTLS command first", "538 Encryption required".
    return reply.code == 538 or (reply.code == 530 and "starttls" in reply.text.lower())


def _special(phase: Phase, reply: Reply, chosen: str) -> Cause | None:
    enhanced = reply.enhanced_code
    if phase is Phase.AUTH:
        return Cause.AUTH_UNSUPPORTED if reply.code in (500, 502, 503, 504) else None
    if phase not in (Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT):
        return None
    if enhanced == "5.6.7":
        return Cause.UTF8_NEEDED
    if is_of_the_recipient(phase, enhanced):
        return Cause.SIZE_EXCEEDED if _is_about_size(phase, reply) else None
    text = by_itself(phase, reply.text)
    if enhanced == "5.4.5" or any(says(words, text, chosen) for words in _QUOTA_WORDS):
        return Cause.QUOTA
    if _is_about_size(phase, reply):
        return Cause.SIZE_EXCEEDED
    relays = _RELAY.search(text) and says("relay", text, chosen)
    return Cause.RELAY_DENIED if phase is Phase.RCPT and (relays or enhanced == "5.7.64") else None


def _is_about_size(phase: Phase, reply: Reply) -> bool:
    # RFC 1870: 552 answers a message that is too big; at RCPT, and with X.2.2, a mailbox is full.
    if reply.enhanced_code in ("5.3.4", "5.2.3"):
        return True
    plain = reply.code == 552 and phase is not Phase.RCPT and reply.enhanced_code != "5.2.2"
    return plain or (reply.code == 557 and phase in (Phase.DATA, Phase.DOT))
