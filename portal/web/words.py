"""The words on the screen for what code calls by a slug, each with the chip that shows it.

A slug that is not listed is shown as its own words, so that a new one never breaks a page.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flask_babel import lazy_gettext as _l

from portal import kinds


@dataclass(frozen=True)
class Chip:
    """A state on the screen. `kind` is ok, wait, bad, odd, off, todo or from; `icon` a name in
    static/icons.svg. Kind gives the shape, so colour never speaks alone."""

    kind: str
    icon: str
    word: str


DELIVERY_STATES: Mapping[str, Chip] = {
    "queued": Chip("todo", "circle-dashed", _l("Queued")),
    "sending": Chip("wait", "send", _l("Sending")),
    "accepted": Chip("ok", "check", _l("Accepted")),
    "deferred": Chip("wait", "clock", _l("Deferred")),
    "failed": Chip("bad", "x", _l("Failed")),
    "unknown": Chip("odd", "question-mark", _l("Unknown")),
    "held": Chip("wait", "player-pause", _l("Held")),
    "suppressed": Chip("off", "minus", _l("Suppressed")),
    "cancelled": Chip("off", "ban", _l("Cancelled")),
    "expired": Chip("bad", "clock", _l("Expired")),
    "recovered": Chip("odd", "refresh", _l("Recovered")),
}

HEALTH: Mapping[str, Chip] = {
    "off": Chip("off", "minus", _l("Off")),
    "not_configured": Chip("wait", "alert-triangle", _l("Not configured")),
    "inherited": Chip("from", "arrow-down", _l("Inherited")),
    "not_tested": Chip("todo", "circle-dashed", _l("Not tested")),
    "delivering": Chip("ok", "check", _l("Delivering")),
    "failing": Chip("bad", "x", _l("Failing")),
    "paused": Chip("wait", "player-pause", _l("Paused")),
}

ROLES: Mapping[str, Chip] = {
    "system_administrator": Chip("from", "server-2", _l("System administrator")),
    "administrator": Chip("from", "shield-lock", _l("Administrator")),
    "member": Chip("off", "user", _l("Member")),
}

SEVERITIES: Mapping[str, Chip] = {
    "info": Chip("off", "info-circle", _l("Info")),
    "warning": Chip("wait", "alert-triangle", _l("Warning")),
    "error": Chip("bad", "alert-triangle", _l("Error")),
    "critical": Chip("bad", "alert-triangle", _l("Critical")),
}

ALERT_STATUSES: Mapping[str, Chip] = {
    "firing": Chip("bad", "bell", _l("Firing")),
    "resolved": Chip("ok", "check", _l("Resolved")),
}

APPROVAL_STATES: Mapping[str, Chip] = {
    "pending": Chip("wait", "clock", _l("Waiting")),
    "approved": Chip("ok", "check", _l("Approved")),
    "rejected": Chip("bad", "x", _l("Rejected")),
    "expired": Chip("off", "clock", _l("Expired")),
    "withdrawn": Chip("off", "ban", _l("Withdrawn")),
}

LEVELS: Mapping[str, str] = {
    "host": _l("Host"),
    "organization": _l("Own"),
    "fallback": _l("Fallback"),
}

ENCRYPTIONS: Mapping[str, str] = {
    "none": _l("None"),
    "starttls": _l("STARTTLS"),
    "tls": _l("SSL/TLS"),
}

PHASES: Mapping[str, str] = {
    "policy": _l("Destination"),
    "dns": _l("Look-up"),
    "connect": _l("Connect"),
    "tls": _l("SSL/TLS"),
    "greeting": _l("Greeting"),
    "ehlo": _l("EHLO"),
    "starttls": _l("STARTTLS"),
    "auth": _l("Sign-in"),
    "mail": _l("MAIL FROM"),
    "rcpt": _l("RCPT TO"),
    "data": _l("DATA"),
    "body": _l("Message"),
    "dot": _l("Final reply"),
    "reset": _l("Reset"),
    "quit": _l("Goodbye"),
}

KINDS: Mapping[str, str] = {
    "security.password_recovery": _l("Password recovery"),
    "security.invitation": _l("Invitation"),
    "alert.raised": _l("Alert raised"),
    "approval.requested": _l("Approval requested"),
    "approval.approved": _l("Approval approved"),
    "approval.rejected": _l("Approval rejected"),
    "mail.test": _l("Test mail"),
    "mail.sender_failing": _l("Sender failing"),
    "mail.sender_recovered": _l("Sender recovered"),
    "mail.credential_expiring": _l("Credential expiring"),
}

CATEGORIES: Mapping[str, str] = {
    "security": _l("Security mail"),
    "alert": _l("Alerts"),
    "approval": _l("Approvals"),
    "mail": _l("About mail itself"),
}

ADDRESS_FAULTS: Mapping[str, str] = {
    "no_such_mailbox": _l("The mailbox does not exist"),
    "mailbox_disabled": _l("The mailbox is disabled"),
    "no_such_domain": _l("The domain takes no mail"),
}

REASONS: Mapping[str, str] = {
    # Held: nothing is lost, mail waits for somebody to act.
    "not_configured": _l("No default sender is set"),
    "no_sender": _l("No default sender is set"),
    "sender_not_active": _l("The sender has not passed its test"),
    "sender_failing": _l("The sender is failing; mail waits until a probe succeeds"),
    "sender_paused": _l("The sender is paused"),
    "own_senders_not_allowed": _l("The host does not allow own senders here"),
    "host_mail_off": _l("Mail of the host is switched off"),
    "organization_suspended": _l("The organization is suspended"),
    # Suppressed or left out: never tried.
    "mail_off": _l("Mail of this organization is switched off"),
    "kind_off": _l("This kind is not mailed here"),
    "opted_out": _l("The recipient opted out of this kind"),
    "external_recipient": _l("Not a member and not a verified address"),
    "no_verified_address": _l("There is no verified address"),
    "not_a_member": _l("Not a member of this organization"),
    "bounced_address": _l("This address bounced before"),
    "recipient_cap": _l("This recipient had the most mail allowed for now"),
    "organization_cap": _l("The organization reached its daily cap on the platform’s sender"),
    # Ended, or taken back.
    "expired": _l("The time for this mail ran out"),
    "cancelled": _l("Cancelled by a person"),
    "render": _l("The letter could not be written"),
    "organization_deleted": _l("The organization was deleted"),
    "letter_does_not_open": _l("The key that opens this letter's links is missing"),
    "lease_lost": _l("Another worker took over"),
    "failover": _l("Another sender takes over"),
    "recovered": _l("Taken back from a process that stopped"),
    "worker_lost": _l("The process stopped after the final dot; it may have arrived"),
    "accepted_late": _l("The answer came after the mail had been taken from its process"),
    "confirmed": _l("A person confirmed that it arrived"),
    "sent_again": _l("Sent again by a person’s decision"),
    "new_link": _l("Replaced by a mail with a new link"),
    "parked": _l("Set aside: its letter stopped a worker again and again"),
    "rate_limit": _l("The sender handed over as much as it may; mail waits for its turn"),
    # On the way to the server.
    "name_not_found": _l("The server name could not be found"),
    "name_lookup_failed": _l("The server name could not be looked up just now"),
    "forbidden_destination": _l("The host does not allow this destination"),
    "connect_timeout": _l("Nothing answers on that port"),
    "connect_refused": _l("Nothing answers on that port"),
    "unreachable": _l("The server cannot be reached from here"),
    "tls_wrong_version": _l("The port does not speak SSL/TLS from the first byte"),
    "tls_untrusted": _l("The server’s certificate is not trusted here"),
    "tls_wrong_name": _l("The server’s certificate is for another name"),
    "tls_expired": _l("The server’s certificate is out of date"),
    "tls_authority_expired": _l("The pasted CA certificate is out of date"),
    "tls_old_protocol": _l("The server speaks old TLS only"),
    "tls_failed": _l("No encrypted connection came about"),
    "no_greeting": _l("The server did not greet in time"),
    "greeting_refused": _l("The server refuses connections from here"),
    "busy": _l("The server is busy"),
    "ehlo_refused": _l("The server refuses our computer name"),
    "starttls_missing": _l("The server does not offer STARTTLS"),
    "starttls_refused": _l("The server refuses STARTTLS"),
    # Sign-in.
    "clear_login_forbidden": _l("Sign-in without encryption is not allowed"),
    "auth_missing": _l("The server offers no sign-in"),
    "auth_unsupported": _l("The server offers no sign-in that we speak"),
    "auth_ntlm_only": _l("The server offers NTLM sign-in only"),
    "auth_refused": _l("Sign-in refused"),
    "auth_temporary": _l("The server cannot check the sign-in just now"),
    "oauth_unsupported": _l("The server offers no OAuth2 sign-in"),
    "oauth_incomplete": _l("The OAuth2 settings are not complete"),
    "token_unavailable": _l("The token endpoint gave no token"),
    "token_refused": _l("The OAuth2 sign-in was refused"),
    "encryption_required": _l("The server wants encryption before sign-in"),
    # The mail itself.
    "sender_refused": _l("The server refuses this From address"),
    "sender_temporary": _l("The server does not take this From address just now"),
    "recipient_refused": _l("The server refuses this recipient"),
    "recipient_temporary": _l("The server does not take mail for this recipient just now"),
    "relay_denied": _l("The server does not relay for this sender"),
    "quota": _l("The provider’s quota is used up"),
    "size_exceeded": _l("The message is too large for this server"),
    "content_refused": _l("The server refuses the content"),
    "content_temporary": _l("The server does not take this content just now"),
    "utf8_needed": _l("The address needs letters that this server cannot take"),
    "timeout": _l("The server did not answer in time"),
    "connection_lost": _l("The connection was lost"),
    "lost_after_dot": _l("Connection lost after the final dot; it may have arrived"),
    "timeout_after_dot": _l("No answer after the final dot; it may have arrived"),
    "protocol_error": _l("The server’s answer could not be understood"),
    "reply_too_long": _l("The server’s answer was too long"),
}


def state_chip(table: Mapping[str, Chip], slug: object) -> Chip:
    """The chip of a state; an unlisted one is an outlined rectangle with its own words."""
    return table.get(str(slug)) or Chip("off", "minus", own_words(slug))


def word(table: Mapping[str, str], slug: object) -> str:
    """The words for a slug, or the slug made readable. Empty for None."""
    if slug is None:
        return ""
    return str(table.get(str(slug)) or own_words(slug))


def kind_name(key: object) -> str:
    """The name of a kind of notification in the reader's language."""
    known = kinds.BY_KEY.get(str(key))
    return str(KINDS.get(str(key)) or (known.name if known else own_words(key)))


def carried(key: object) -> str:
    """The name of what a sender may carry first: a whole category, or one kind."""
    return str(CATEGORIES.get(str(key)) or kind_name(key))


def server_said(code: int | None, enhanced: str | None, reply: str | None) -> str:
    """A server's answer on one line: code, enhanced code and text, each once."""
    text = (reply or "").strip()
    # Texts often begin with their enhanced code (RFC 2034, 4), and some with the code too.
    begins = text.split()[:2]
    codes = [str(one) for one in (code, enhanced) if one and str(one) not in begins]
    return " ".join([*codes, text]).strip()


def own_words(slug: object) -> str:
    """`sender_failing` and `alert.raised` as words."""
    text = str(slug).replace("_", " ").replace(".", " ").strip()
    return text[:1].upper() + text[1:]
