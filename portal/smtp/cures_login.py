"""What can go wrong at the login, with what each provider wants there."""

from flask_babel import lazy_gettext as _

from portal.smtp.causes import Cause
from portal.smtp.rules import FailureClass, Rule
from portal.smtp.values import Phase

_AUTH = frozenset({Phase.AUTH})
_REFUSED = frozenset({Cause.AUTH_REFUSED})
_NETEASE_AND_SINA = (
    "163.com",
    "126.com",
    "yeah.net",
    "188.com",
    "netease.com",
    "sina.com",
    "sina.cn",
    "sina.com.cn",
)
_YAHOO = ("mail.yahoo.com", "yahoo.com")

RULES = (
    Rule(
        _("The provider has locked this login for a while after wrong passwords."),
        _("Stop testing, wait at least half an hour, then enter the right password and test once."),
        phases=_AUTH,
        words=("too much fail authentication", "too many bad", "too many failed", "too many login"),
        locks_account=True,
    ),
    Rule(
        _("Gmail needs an app password, not the account's password."),
        _(
            "Turn on 2-Step Verification, make an app password at "
            "myaccount.google.com/apppasswords, and enter its 16 letters without spaces."
        ),
        phases=_AUTH,
        codes=frozenset({534, 535}),
        enhanced=("5.7.9",),
        words=("application-specific password",),
    ),
    Rule(
        _("Gmail rejects the user name or the password, or wants a sign-in on the web first."),
        _("Make a new app password, and check that the user name is the full address."),
        phases=_AUTH,
        codes=frozenset({534, 535}),
        hosts=("gmail.com", "googlemail.com"),
        enhanced=("5.7.14",),
        words=("gsmtp",),
    ),
    Rule(
        _("Tencent Exmail rejects the login."),
        _(
            "Tick the POP/SMTP service in the client settings of Exmail. Where secure login is "
            "on, make a client-specific password and enter that."
        ),
        phases=_AUTH,
        causes=_REFUSED,
        hosts=("exmail.qq.com",),
    ),
    Rule(
        _("QQ Mail wants the authorization code as the password; its SMTP service may be off."),
        _(
            "In QQ Mail open Account and Security, enable the SMTP service, make a new "
            "authorization code and enter it as the password."
        ),
        phases=_AUTH,
        causes=_REFUSED,
        hosts=("qq.com", "foxmail.com"),
        words=("authorization code",),
    ),
    Rule(
        _("The authorization code is wrong, or the SMTP service of the mailbox is not enabled."),
        _(
            "Enable POP3/SMTP in the settings of the mailbox on the web and make a new code. "
            "It is shown once; enter it as the password."
        ),
        phases=_AUTH,
        codes=frozenset({535, 550}),
        hosts=_NETEASE_AND_SINA,
        words=("user has no permission",),
        locks_account=True,
    ),
    Rule(
        _("Microsoft 365 has SMTP login switched off for this tenant or mailbox."),
        _(
            "An administrator of the tenant can enable it for the mailbox "
            "(aka.ms/smtp_auth_disabled), or choose OAuth2."
        ),
        words=("smtpclientauthentication is disabled",),
    ),
    Rule(
        _("Login with a password is blocked, by a policy or because it was retired."),
        _("Use OAuth2."),
        enhanced=("5.7.139", "5.7.30"),
        words=("basic authentication is disabled", "basic authentication is not supported"),
        fault=FailureClass.ROUTE_FAULT,
    ),
    Rule(
        _("The access token was refused."),
        _(
            "The client secret may be wrong or expired, the administrator's consent may be "
            "missing, or the application has no right to this mailbox: renew the secret, give "
            "consent, register the service principal."
        ),
        phases=_AUTH,
        words=(
            '"status":"401"',
            '"status":"400"',
            "invalid_client",
            "unauthorized_client",
            "invalid_grant",
            "aadsts",
        ),
    ),
    Rule(
        _("The login is missing, or was refused."),
        _(
            "Choose a password or OAuth2 as authentication. The user name is the full sign-in "
            "name (UPN), or has a domain on an Exchange server; in Microsoft 365 the mailbox "
            "needs a licence."
        ),
        codes=frozenset({530, 535}),
        enhanced=("5.7.3", "5.7.57"),
        fault=FailureClass.ROUTE_FAULT,
    ),
    Rule(
        _("The server wants a login."),
        _("Choose a password or OAuth2 as authentication, and enter the user name."),
        phases=frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA}),
        codes=frozenset({530}),
        fault=FailureClass.ROUTE_FAULT,
    ),
    Rule(
        _("The server offers only NTLM as login, which this portal does not speak."),
        _(
            "Ask the administrator of the mail server for PLAIN or LOGIN over TLS, or for a "
            "connector that takes mail from this portal without a login."
        ),
        causes=frozenset({Cause.AUTH_NTLM_ONLY}),
    ),
    Rule(
        _("The server offers no login here, or none that this portal speaks."),
        _(
            "Choose encryption first: many servers offer the login only then. For a relay that "
            "needs no login set authentication to none."
        ),
        causes=frozenset({Cause.AUTH_MISSING, Cause.AUTH_UNSUPPORTED}),
    ),
    Rule(
        _("The server does not offer OAuth2 (XOAUTH2) as login here."),
        _(
            "Check server and port. Otherwise choose a password, an app password or an "
            "authorization code as authentication."
        ),
        causes=frozenset({Cause.OAUTH_UNSUPPORTED}),
    ),
    Rule(
        _("Yahoo rejects the login."),
        _("Make an app password in the security settings of the account and enter it."),
        causes=_REFUSED,
        hosts=_YAHOO,
        locks_account=True,
    ),
)
