"""What can go wrong after the login: the sender, the recipient, quotas, the content."""

from flask_babel import lazy_gettext as _

from portal.smtp.causes import Cause
from portal.smtp.rules import FailureClass, Rule
from portal.smtp.values import Phase

_RCPT = frozenset({Phase.RCPT})
_CONTENT = frozenset({Phase.DATA, Phase.BODY, Phase.DOT})
_TRANSACTION = frozenset({Phase.MAIL, Phase.RCPT}) | _CONTENT
_NETEASE_AND_SINA = ("163.com", "126.com", "yeah.net", "188.com", "netease.com", "sina.com")
_ZOHO = ("zoho.com", "zoho.eu", "zoho.in", "zoho.com.au", "zoho.jp", "zoho.com.cn", "zoho.sa")
_SLOW_DOWN = (
    "hl:icc",
    "hl:ifc",
    "mi:sfq",
    "rp:qrc",
    "throttl",
    "rate limit",
    "too many connections",
    "too many messages",
    "too fast",
    "slow down",
)

RULES = (
    Rule(
        _("The mail was sent; only closing the connection failed."),
        _("Nothing needs to be done. It is not sent again."),
        phases=frozenset({Phase.QUIT}),
    ),
    Rule(
        _("The recipient's mailbox is full."),
        _("Ask the recipient to make room, or use another address."),
        phases=_RCPT | _CONTENT,
        codes=frozenset({450, 452, 550, 552, 554}),
        enhanced=("4.2.2", "5.2.2"),
        words=("mailbox full", "mailbox is full"),
        fault=FailureClass.RECIPIENT,
    ),
    Rule(
        _("The mailbox that logs in may not send as this From address."),
        _("Use the mailbox's own address as From, or give it the Send As right."),
        phases=_TRANSACTION,
        enhanced=("5.7.60", "5.2.252"),
        words=(
            "sendasdenied",
            "permission to send as",
            "permissions to send as",
            "not allowed to send as",
        ),
        fault=FailureClass.ROUTE_FAULT,
    ),
    Rule(
        _("The From address differs from the login."),
        _("Use the address that logs in as From, or an alias that the provider has verified."),
        phases=_TRANSACTION,
        words=(
            "must equal authorized user",
            "same as authorization user",
            "not owned by user",
        ),
        fault=FailureClass.ROUTE_FAULT,
    ),
    Rule(
        _("The From address differs from the login."),
        _("Use the address that logs in as From, or an alias that the provider has verified."),
        phases=frozenset({Phase.MAIL}),
        codes=frozenset({501, 550, 553}),
        hosts=(*_NETEASE_AND_SINA, "qq.com"),
    ),
    Rule(
        _("The From address differs from the login."),
        _("Use the address that logs in as From, or an alias that the provider has verified."),
        phases=frozenset({Phase.MAIL, Phase.RCPT}),
        codes=frozenset({553}),
        hosts=_ZOHO,
    ),
    Rule(
        _("The provider has not verified the From address."),
        _("Verify the address or its domain at the provider, in the same region as the server."),
        phases=_TRANSACTION,
        words=("sender identity", "sender signature"),
        fault=FailureClass.ROUTE_FAULT,
    ),
    Rule(
        _("The provider has not verified an address of this mail."),
        _("Verify the address or its domain at the provider, in the same region as the server."),
        phases=_TRANSACTION,
        words=("address is not verified", "domain is not verified", "not verified"),
    ),
    Rule(
        _("The From domain does not vouch for this server: SPF, DKIM or DMARC fails."),
        _(
            "Set up SPF and DKIM for this server in the DNS of the From domain, or use a From "
            "address that belongs to the server."
        ),
        causes=frozenset({Cause.SENDER_UNPROVEN}),
    ),
    Rule(
        _(
            "The server blocks the network address that the mail comes from: it stands on a block "
            "list, has a bad name, or no reverse DNS."
        ),
        _(
            "Send through your provider's server, or have the address taken off the list and given "
            "a reverse DNS name."
        ),
        causes=frozenset({Cause.ADDRESS_BLOCKED}),
    ),
    Rule(
        _("The server refuses a command of the session, whatever the mail."),
        _(
            "Check server, port and whether a login is wanted. If it stays so, look into the mail "
            "server's log."
        ),
        causes=frozenset({Cause.COMMAND_REFUSED}),
    ),
    Rule(
        _("The sending quota is used up."),
        _("Sending goes on when the quota is reset. A bigger plan or a second sender helps."),
        causes=frozenset({Cause.QUOTA}),
    ),
    Rule(
        _("The sending quota is used up."),
        _("Sending goes on when the quota is reset. A bigger plan or a second sender helps."),
        phases=_TRANSACTION,
        codes=frozenset({550, 552, 554}),
        enhanced=("5.4.5",),
        words=(
            "daily sending quota",
            "monthly sending quota",
            "recipient limit",
            "recipientratelimit",
            "daily message limit",
        ),
        fault=FailureClass.ROUTE_FAULT,
    ),
    Rule(
        _("The provider takes the content for spam; bare test texts often are."),
        _(
            "Give subject and text some meaning, use a real name in From, and not the word "
            '"test" alone. After a temporary refusal wait two minutes.'
        ),
        phases=_CONTENT,
        words=("dt:spm", "spam"),
    ),
    Rule(
        _("The provider asks to slow down."),
        _(
            "It is tried again later. Set a lower rate for the sender; Microsoft 365 takes at "
            "most 3 connections."
        ),
        codes=frozenset({421, 432, 450, 451, 452, 454}),
        words=_SLOW_DOWN,
    ),
    Rule(
        _("The provider asks to slow down."),
        _(
            "It is tried again later. Set a lower rate for the sender; Microsoft 365 takes at "
            "most 3 connections."
        ),
        codes=frozenset({421, 450}),
        enhanced=("4.2.1", "4.7.0"),
    ),
    Rule(
        _("The provider asks to slow down."),
        _(
            "It is tried again later. Set a lower rate for the sender; Microsoft 365 takes at "
            "most 3 connections."
        ),
        codes=frozenset({432, 452}),
    ),
    Rule(
        _("The server blocks this portal's network address, which stands on a block list."),
        _("Send through your provider's server, or have the address taken off the list."),
        phases=frozenset({Phase.MAIL, Phase.RCPT}),
        words=("blocked using", "client host blocked", "is blacklisted", "on a block list"),
        fault=FailureClass.ROUTE_FAULT,
    ),
    Rule(
        _("The server says that the recipient does not exist."),
        _("Check the address. It is not tried again."),
        phases=_RCPT,
        codes=frozenset({550, 551, 553, 556}),
        enhanced=("5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"),
        words=("no such user", "user unknown", "unknown user", "does not exist"),
    ),
    Rule(
        _("The server does not take mail to other domains from this portal."),
        _("Log in, or have the server's administrator allow this portal's address."),
        causes=frozenset({Cause.RELAY_DENIED}),
    ),
    Rule(
        _("The server does not take mail to this recipient from this portal."),
        _("Log in, or have the server's administrator allow this portal's address."),
        phases=_RCPT,
        codes=frozenset({550, 554}),
        enhanced=("5.7.1", "5.7.64"),
    ),
    Rule(
        _("The server says that the recipient does not exist."),
        _("Check the address. It is not tried again."),
        phases=_RCPT,
        codes=frozenset({553, 556}),
    ),
    Rule(
        _("A header of the mail is badly formed for this server."),
        _("Check the display name of the sender; leave out unusual characters."),
        phases=_CONTENT,
        codes=frozenset({550, 554, 555}),
        enhanced=("5.5.2",),
        words=("from header", "header missing", "missing header", "invalid header"),
    ),
    Rule(
        _("The mail is too large for this server."),
        _("Shorten the text, and link to large files."),
        causes=frozenset({Cause.SIZE_EXCEEDED}),
    ),
    Rule(
        _("An address has letters beyond ASCII, and the server cannot take such addresses."),
        _("Use an address whose part before the @ has only plain letters, digits and signs."),
        causes=frozenset({Cause.UTF8_NEEDED}),
    ),
)
