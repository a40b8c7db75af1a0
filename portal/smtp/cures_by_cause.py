"""What a cause alone tells, where nothing in the reply and no provider tells more."""

from flask_babel import lazy_gettext as _

from portal.smtp.causes import Cause
from portal.smtp.rules import Rule

_REFUSED = frozenset({Cause.AUTH_REFUSED})

RULES = (
    Rule(
        _("The server refuses connections from here."),
        _("Ask the administrator of the mail server whether this portal's address is blocked."),
        causes=frozenset({Cause.GREETING_REFUSED}),
    ),
    Rule(
        _("The server rejects the user name or the password."),
        _(
            "Check both. Many providers want an app password or an authorization code in place "
            "of the mailbox's password; after a change of that one, the old code is dead."
        ),
        causes=_REFUSED,
    ),
    Rule(
        _("The server cannot check the login just now."),
        _("It is tried again later. If it stays so, ask the provider."),
        causes=frozenset({Cause.AUTH_TEMPORARY}),
    ),
    Rule(
        _("The answer to the finished mail never came: it may have been sent."),
        _("Ask the recipient, or look into the mail server's log, before it is sent again."),
        causes=frozenset({Cause.LOST_AFTER_DOT, Cause.TIMEOUT_AFTER_DOT}),
    ),
    Rule(
        _("The server refuses the From address."),
        _("Use a From address that belongs to the login, and check its spelling."),
        causes=frozenset({Cause.SENDER_REFUSED}),
    ),
    Rule(
        _("The server does not take mail from this From address just now."),
        _("It is tried again later."),
        causes=frozenset({Cause.SENDER_TEMPORARY}),
    ),
    Rule(
        _("The server refuses the recipient."),
        _("Check the address, and read the server's answer. It is not tried again."),
        causes=frozenset({Cause.RECIPIENT_REFUSED}),
    ),
    Rule(
        _("The server does not take mail for this recipient just now."),
        _("Many servers ask new senders to come back (greylisting). It is tried again later."),
        causes=frozenset({Cause.RECIPIENT_TEMPORARY}),
    ),
    Rule(
        _("The server refuses this mail."),
        _("Read the server's answer; subject, text and From are what most servers judge."),
        causes=frozenset({Cause.CONTENT_REFUSED}),
    ),
    Rule(
        _("The server does not take this mail just now."),
        _("It is tried again later."),
        causes=frozenset({Cause.CONTENT_TEMPORARY}),
    ),
    Rule(
        _("The server is busy."),
        _("It is tried again later. If it stays so, lower the rate or the connections."),
        causes=frozenset({Cause.BUSY}),
    ),
    Rule(
        _("The server stopped answering."),
        _("It is tried again later. If it stays so, check the server, the network and the proxy."),
        causes=frozenset({Cause.TIMEOUT}),
    ),
    Rule(
        _("The server closed the connection."),
        _("It is tried again later. If it stays so, look into the mail server's log."),
        causes=frozenset({Cause.CONNECTION_LOST}),
    ),
    Rule(
        _("The answer is not one of a mail server."),
        _("Check server and port: another service, or a proxy, may be listening there."),
        causes=frozenset({Cause.PROTOCOL_ERROR, Cause.REPLY_TOO_LONG}),
    ),
)
