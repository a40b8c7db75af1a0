"""What a refusal says of the recipient's address itself. Pure.

Only a reply that speaks of the mailbox counts: a bare 550 may be policy, spam, a block list or the
sender, and tells nothing of the address (RFC 5321, 4.2.3).
"""

import re
from enum import StrEnum

from portal.smtp.causes import Cause
from portal.smtp.diagnosis import classify
from portal.smtp.rules import FailureClass
from portal.smtp.values import Failure, Phase


class AddressFault(StrEnum):
    """Why no mail to this address can arrive; kept in records, so never renamed."""

    NO_SUCH_MAILBOX = "no_such_mailbox"
    MAILBOX_DISABLED = "mailbox_disabled"
    NO_SUCH_DOMAIN = "no_such_domain"


def address_fault(failure: Failure) -> AddressFault | None:
    """The fault of the address that a final refusal names. None: the refusal is about something
    else, may pass, or does not say."""
    if not _is_of_the_recipient(failure):
        return None
    said = _ADDRESS.sub(" ", (failure.reply or "").lower())
    if _OTHER_MATTERS.search(said):
        return None
    if failure.enhanced_code in _BY_ENHANCED_CODE:
        return _BY_ENHANCED_CODE[failure.enhanced_code]
    if failure.enhanced_code not in _UNSPECIFIC:
        return None
    if failure.code == 556:  # RFC 7504: the domain does not accept mail
        return AddressFault.NO_SUCH_DOMAIN
    if _DISABLED.search(said):
        return AddressFault.MAILBOX_DISABLED
    return AddressFault.NO_SUCH_MAILBOX if _NOBODY.search(said) else None


def _is_of_the_recipient(failure: Failure) -> bool:
    """Each mail goes to one recipient, so that a refusal after the final dot is about it too."""
    return (
        failure.phase in (Phase.RCPT, Phase.DATA, Phase.DOT)
        and failure.cause in (Cause.RECIPIENT_REFUSED, Cause.CONTENT_REFUSED)
        and failure.code is not None
        and 500 <= failure.code <= 599
        and classify(failure) in (FailureClass.RECIPIENT, FailureClass.MESSAGE)
    )


# RFC 3463, 3.2 and 3.3; 5.1.10 is RFC 7505: the domain says by a null MX that it takes no mail.
_BY_ENHANCED_CODE = {
    "5.1.1": AddressFault.NO_SUCH_MAILBOX,
    "5.1.2": AddressFault.NO_SUCH_DOMAIN,
    "5.1.3": AddressFault.NO_SUCH_MAILBOX,
    "5.1.6": AddressFault.NO_SUCH_MAILBOX,
    "5.1.10": AddressFault.NO_SUCH_DOMAIN,
    "5.2.1": AddressFault.MAILBOX_DISABLED,
}
# Codes that leave it to the words.
_UNSPECIFIC = (None, "5.0.0", "5.1.0", "5.2.0", "5.5.0")
# Addresses are taken out first: one may be called no-such-user@example.com.
_ADDRESS = re.compile(r"\S+@\S+")
# Words of a refusal that is about the sender, about policy, or about a state that passes. Where
# they stand, nothing is concluded: rather one try too many than a person who hears nothing.
_OTHER_MATTERS = re.compile(
    r"\b(?:sender|mail from|from address|from header|return[- ]path|helo|ehlo|relay\w*|spam\w*"
    r"|polic\w+|block\w*|blacklist\w*|reputation|quota|mailbox (?:is )?full|full mailbox|exceed\w*"
    r"|at a rate|rate limit\w*|too (?:quickly|fast|many|large|big)|authenti\w+|authori[sz]\w+"
    r"|permission\w*|denied|prohibited|not allowed|temporar\w+|greylist\w*|try again|later"
    r"|verif\w+|reverse dns|spf|dkim|dmarc|your (?:account|mailbox)|sending|outgoing|submission)\b"
)
_WHO = r"(?:user|mailbox|recipient|account|alias|inbox)"
_DISABLED = re.compile(
    rf"\b{_WHO}\b[^.;]{{0,60}}\b(?:disabled|deactivated|inactive|closed|terminated|discontinued)\b"
    rf"|\b(?:disabled|deactivated|inactive|closed) (?:\w+ )?{_WHO}\b"
)
_NOBODY = re.compile(
    rf"\b{_WHO}\b[^.;]{{0,60}}\b(?:unknown|not found|not exist|doesn't exist|invalid|not known)\b"
    rf"|\b(?:no such|unknown|non-?existent|invalid) (?:\w+ )?{_WHO}\b"
    rf"|\bno (?:mailbox|{_WHO}) (?:here )?by that name\b"
    r"|\bdoesn't have an? \S+ account\b"
)
