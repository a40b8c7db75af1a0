"""The commands of one envelope, with what the server can do (RFC 1870, 6152, 6531)."""

from dataclasses import dataclass

from portal.smtp.capabilities import Capabilities
from portal.smtp.causes import Cause
from portal.smtp.events import Envelope
from portal.smtp.values import Phase
from portal.smtp.wire import wire_address


@dataclass(frozen=True)
class Unwritable:
    """Why an envelope is not even tried on this server."""

    phase: Phase
    cause: Cause
    detail: str


def envelope_commands(
    envelope: Envelope, capabilities: Capabilities
) -> tuple[bytes, list[bytes]] | Unwritable:
    """The MAIL command and one RCPT command for each recipient."""
    limit = capabilities.size
    if limit is not None and envelope.size > limit:
        detail = f"{envelope.size} bytes; the server takes {limit}"
        return Unwritable(Phase.MAIL, Cause.SIZE_EXCEEDED, detail)
    sender = wire_address(envelope.mail_from) if envelope.mail_from else ""
    if sender is None:
        return Unwritable(Phase.MAIL, Cause.SENDER_REFUSED, "this address can't be written in SMTP")
    recipients = [address for r in envelope.recipients if (address := wire_address(r))]
    if not recipients or len(recipients) < len(envelope.recipients):
        detail = "an address can't be written in SMTP"
        return Unwritable(Phase.RCPT, Cause.RECIPIENT_REFUSED, detail)
    plain = sender.isascii() and all(recipient.isascii() for recipient in recipients)
    if not plain and not capabilities.smtputf8:
        phase = Phase.RCPT if sender.isascii() else Phase.MAIL
        return Unwritable(phase, Cause.UTF8_NEEDED, "SMTPUTF8 is not offered")
    mail = f"MAIL FROM:<{sender}>{_parameters(envelope, capabilities, plain)}\r\n"
    return mail.encode(), [f"RCPT TO:<{recipient}>\r\n".encode() for recipient in recipients]


def _parameters(envelope: Envelope, capabilities: Capabilities, plain: bool) -> str:
    parameters = ""
    if capabilities.announces_size and envelope.size:
        parameters += f" SIZE={envelope.size}"
    # Where 8BITMIME is not offered the bytes go as they are: our own messages are ASCII, and
    # rewriting a foreign one would break its signatures.
    if envelope.eight_bit and capabilities.eight_bit:
        parameters += " BODY=8BITMIME"
    return parameters if plain else f"{parameters} SMTPUTF8"
