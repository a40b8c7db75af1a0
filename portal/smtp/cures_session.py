"""What can go wrong before the login: the name, the port, TLS, the greeting, EHLO, STARTTLS."""

from flask_babel import lazy_gettext as _

from portal.smtp.causes import Cause
from portal.smtp.rules import Case, Repair, Rule
from portal.smtp.values import Encryption, Phase


def _preset(case: Case) -> tuple[Repair, ...]:
    if "@" not in case.from_address:
        return ()
    domain = case.from_address.rpartition("@")[2]
    label = _("Use the preset for %(domain)s", domain=domain)
    return (Repair(label, preset_for=case.from_address),)


def _starttls(port: int) -> Repair:
    label = _("Use STARTTLS on port %(port)s", port=port)
    return Repair(label, encryption=Encryption.STARTTLS, port=port)


def _tls(port: int) -> Repair:
    label = _("Use SSL/TLS on port %(port)s", port=port)
    return Repair(label, encryption=Encryption.TLS, port=port)


def _plain_text_port(case: Case) -> tuple[Repair, ...]:
    if case.port in _TLS_PORTS:
        return (_starttls(587),)
    return (_starttls(case.port or 587), _tls(465))


def _tls_port(case: Case) -> tuple[Repair, ...]:
    return (_tls(case.port if case.port in _TLS_PORTS else 465),)


def _starttls_here(case: Case) -> tuple[Repair, ...]:
    return (_starttls(case.port or 587),)


_TLS_PORTS = (465, 994, 2465)
_BEFORE_TLS = frozenset({Encryption.NONE, Encryption.STARTTLS})

RULES = (
    Rule(
        _("The server name could not be found."),
        _("Check the spelling of the server name."),
        causes=frozenset({Cause.NAME_NOT_FOUND}),
        repairs=_preset,
    ),
    Rule(
        _("The look-up of the server name got no answer."),
        _("Try again in a few minutes. If it stays so, check the name servers of this portal."),
        causes=frozenset({Cause.NAME_LOOKUP_FAILED}),
    ),
    Rule(
        _("Port 25 is probably blocked by the network or the cloud."),
        _("Use port 465 or 587; some providers also offer 2525 or 80."),
        causes=frozenset({Cause.CONNECT_TIMEOUT}),
        ports=frozenset({25}),
    ),
    Rule(
        _("Nothing answers on that port."),
        _("Check the port, the firewall, the rules for outgoing connections and the proxy."),
        causes=frozenset({Cause.CONNECT_TIMEOUT, Cause.CONNECT_REFUSED, Cause.UNREACHABLE}),
    ),
    Rule(
        _("SSL/TLS was used on a port that starts in plain text."),
        _("Choose STARTTLS (usually port 587), or SSL/TLS on port 465."),
        causes=frozenset({Cause.TLS_WRONG_VERSION}),
        encryptions=frozenset({Encryption.TLS}),
        repairs=_plain_text_port,
    ),
    Rule(
        _("The server gave no greeting: the port expects SSL/TLS from the first byte."),
        _("Choose SSL/TLS (usually port 465)."),
        causes=frozenset({Cause.NO_GREETING}),
        encryptions=_BEFORE_TLS,
        repairs=_tls_port,
    ),
    Rule(
        _("The server took the connection and gave no greeting."),
        _("Check the port. The server may be overloaded, or refuse this portal's address."),
        causes=frozenset({Cause.NO_GREETING}),
    ),
    Rule(
        _("The server's certificate is not trusted here."),
        _("Paste the certificate of the company's own CA; do not switch verification off."),
        causes=frozenset({Cause.TLS_UNTRUSTED}),
    ),
    Rule(
        _("The server's certificate is for another name."),
        _("Use a name that stands in the certificate as the server name."),
        causes=frozenset({Cause.TLS_WRONG_NAME}),
    ),
    Rule(
        _("The server's certificate is out of date."),
        _("Ask the administrator of the mail server to renew it, and check the clocks of both."),
        causes=frozenset({Cause.TLS_EXPIRED}),
    ),
    Rule(
        _("The CA certificate that was pasted here is out of date."),
        _(
            "Get the present certificate of your CA from its administrator, and paste it in place "
            "of this one."
        ),
        causes=frozenset({Cause.TLS_AUTHORITY_EXPIRED}),
    ),
    Rule(
        _("The server only speaks old TLS."),
        _("Ask the administrator of the mail server to upgrade it to TLS 1.2 or newer."),
        causes=frozenset({Cause.TLS_OLD_PROTOCOL}),
    ),
    Rule(
        _("The encrypted connection could not be set up."),
        _("Check that port and encryption belong together; see the mail server's log for more."),
        causes=frozenset({Cause.TLS_FAILED, Cause.TLS_WRONG_VERSION}),
    ),
    Rule(
        _("The server does not offer STARTTLS here."),
        _(
            "Check the port. Where SSL/TLS is offered (usually port 465), choose it. "
            "A password is never sent without encryption instead."
        ),
        causes=frozenset({Cause.STARTTLS_MISSING, Cause.STARTTLS_REFUSED}),
        repairs=_tls_port,
    ),
    Rule(
        _("The server refuses the name that this computer gives of itself."),
        _("Set the EHLO name of the sender to a full host name that exists in DNS."),
        causes=frozenset({Cause.EHLO_REFUSED}),
    ),
    Rule(
        _("The server refuses the name that this computer gives of itself."),
        _("Set the EHLO name of the sender to a full host name that exists in DNS."),
        phases=frozenset({Phase.EHLO, Phase.MAIL, Phase.RCPT}),
        words=("mi:nhd", "helo command rejected", "invalid helo", "helo name"),
    ),
    Rule(
        _("The server wants encryption before anything else."),
        _("Choose STARTTLS (usually port 587)."),
        causes=frozenset({Cause.ENCRYPTION_REQUIRED}),
        repairs=_starttls_here,
    ),
    Rule(
        _("This portal does not connect to that server."),
        _(
            "Ask a system administrator to add the server with its port to the allowed "
            "destinations, or use the server's public name and a usual port."
        ),
        causes=frozenset({Cause.FORBIDDEN_DESTINATION}),
    ),
    Rule(
        _("A password would be sent without encryption, which is not allowed for this sender."),
        _(
            "Choose STARTTLS or SSL/TLS. Where an internal server offers neither, a system "
            "administrator can allow clear-text login for this sender."
        ),
        causes=frozenset({Cause.CLEAR_LOGIN_FORBIDDEN}),
    ),
)
