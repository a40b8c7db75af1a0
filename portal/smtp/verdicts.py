"""What a refusing reply means, by the phase in which it came. Pure; the words are elsewhere."""

import re

from portal.smtp.causes import Cause
from portal.smtp.replies import Reply
from portal.smtp.said import by_itself, is_of_the_recipient, says, says_together
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
_QUOTA_WORDS = (
    *("sending quota", "daily quota", "hourly quota", "monthly quota"),
    *("sending limit", "daily limit", "hourly limit", "monthly limit", "daily message limit"),
    *("too many messages sent", "too many messages today", "too many messages from"),
    *("too many mails sent", "too many emails sent", "too many emails today"),
    *("sent too many", "sending too many", "sending rate"),
    *("messages per day", "messages per hour", "mails per day", "mails per hour"),
)
# RFC 7372 and RFC 7505, 4.2: SPF, DKIM or all of them fail, or the From domain takes no mail.
_UNPROVEN = re.compile(r"5\.7\.2[0-46-7]")
_UNPROVEN_WORDS = (
    *("dmarc", "dkim signature", "dkim verif", "dkim fail", "unauthenticated email"),
    *("sender is unauthenticated", "spf fail", "spf check", "spf validation", "spf record"),
    *("failed spf", "fails spf", "pass spf", "spf: fail"),
)
# RFC 7372: the reverse DNS of the connecting address.
_NO_REVERSE_DNS = "5.7.25"
_OUR_ADDRESS = (
    *("your ip", "sending ip", "sender ip", "client ip", "connecting ip", "source ip"),
    *("originating ip", "from this ip", "the ip you", "client host", "your mail server"),
)
_BLOCKED_WORDS = (
    *("block", "listed", "black list", "deny list", "denylist", "reputation", "banned"),
    *("client host rejected", "not accepted", "not authorized", "reverse dns"),
    *("reverse hostname", "ptr record", "spamhaus"),
)
# RFC 3463, 3.2: the sender's mailbox or domain, which servers also judge at RCPT and later.
_OF_THE_SENDER = ("5.1.7", "5.1.8")
# RFC 5321, 4.2.4 and 4.3.2: the command, or its place in the session. At RCPT, 500 to 502 may
# also be said of an address.
_OF_THE_COMMAND = {
    Phase.MAIL: (500, 502, 503),
    Phase.RCPT: (503,),
    Phase.DATA: (500, 502, 503),
    Phase.DOT: (503,),
}
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
    if found := _of_the_route(phase, reply, text, chosen):
        return found
    if _is_about_size(phase, reply):
        return Cause.SIZE_EXCEEDED
    relays = _RELAY.search(text) and says("relay", text, chosen)
    return Cause.RELAY_DENIED if phase is Phase.RCPT and (relays or enhanced == "5.7.64") else None


def _of_the_route(phase: Phase, reply: Reply, text: str, chosen: str) -> Cause | None:
    """What every mail by this sender would be answered, whatever its recipient and its words."""
    enhanced = reply.enhanced_code or ""
    if reply.code in _OF_THE_COMMAND.get(phase, ()):
        return Cause.COMMAND_REFUSED
    if _UNPROVEN.fullmatch(enhanced):
        return Cause.SENDER_UNPROVEN
    if enhanced == _NO_REVERSE_DNS or says_together(_OUR_ADDRESS, _BLOCKED_WORDS, text, chosen):
        return Cause.ADDRESS_BLOCKED
    if any(says(words, text, chosen) for words in _UNPROVEN_WORDS):
        return Cause.SENDER_UNPROVEN
    if enhanced in _OF_THE_SENDER or says("sender address rejected", text, chosen):
        return Cause.SENDER_REFUSED
    # What a mailbox may receive is no quota of ours.
    words = () if "receiv" in text else _QUOTA_WORDS
    if enhanced == "5.4.5" or any(says(one, text, chosen) for one in words):
        return Cause.QUOTA
    return None


def _is_about_size(phase: Phase, reply: Reply) -> bool:
    # RFC 1870: 552 answers a message that is too big; at RCPT, and with X.2.2, a mailbox is full.
    if reply.enhanced_code in ("5.3.4", "5.2.3"):
        return True
    plain = reply.code == 552 and phase is not Phase.RCPT and reply.enhanced_code != "5.2.2"
    return plain or (reply.code == 557 and phase in (Phase.DATA, Phase.DOT))
