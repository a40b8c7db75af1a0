"""What is said about mail providers: user name, password, how to get it, notes and warnings.

Marked for translation here, because the catalogue file is not read by the extractor. No number
stands here that the provider does not document.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from flask_babel import lazy_gettext as _

from portal.smtp.rules import Words


@dataclass(frozen=True)
class DatedWarning:
    """What will not work, or not for long. `on`: the day of the change where one is known;
    `as_of`: when this was last checked with the provider."""

    text: Words
    as_of: date
    on: date | None = None


HINTS: tuple[Words, ...] = (
    _("Use a mailbox of its own for sending, not a person's."),
    _("Prefer an encrypted connection: where a provider names several ports, take that one."),
    _(
        "After a change of the mailbox's password the old code is dead: get a new one, enter it, "
        "test, save."
    ),
    _("Server, port and encryption stand in the provider's help under SMTP or client settings."),
    _("The outgoing port must be open in the network and cloud where this portal runs."),
)

FULL_ADDRESS: Words = _("The full email address.")
USERS: Mapping[str, Words] = {
    "google-workspace-relay": _(
        "The full address of a Workspace user; none where the relay knows this portal's IP address."
    ),
    "microsoft365": _("The mailbox to send as, by its full sign-in name (UPN)."),
    "microsoft365-password": _("The full sign-in name (UPN) of a mailbox with a licence."),
    "microsoft365-hve": _("The High Volume Email account."),
    "microsoft365-connector": _("None."),
    "exchange": _("DOMAIN\\user or the full sign-in name (UPN)."),
    "tencent-ses": _("The sender address."),
    "aliyun-directmail": _("The sender address, exactly as it stands in From."),
    "fastmail": _("The account's primary address, also where mail comes from an alias."),
    "amazon-ses": _("The user name of the SES SMTP credentials."),
    "sendgrid": _("The word apikey, for everyone."),
    "mailgun": _("The SMTP login of the domain, like an address of it."),
    "postmark": _("The server's API token."),
    "brevo": _("The SMTP login from the console."),
    "mailjet": _("The API key."),
    "sparkpost": _("The word SMTP_Injection, for everyone."),
    "resend": _("The word resend, for everyone."),
    "mailtrap": _("The word api, for everyone."),
    **dict.fromkeys(
        ("sendcloud", "mandrill", "mailersend", "smtp2go", "elastic-email"),
        _("The SMTP user name from the provider's console."),
    ),
}

PASSWORDS: Mapping[str, Words] = {
    "account_password": _("The password of the account."),
    "alibaba_password": _("The login password, or the client security password where that is on."),
    "api_key": _("An API key that may send mail."),
    "api_token": _("An API token."),
    "app_password": _("An app password made for this portal, not the account's password."),
    "app_password_or_none": _(
        "An app password; none where the relay knows this portal's IP address."
    ),
    "authorization_code": _("An authorization code, not the mailbox's password."),
    "client_password": _(
        "A client-specific password where secure login is on; else the mailbox's password."
    ),
    "client_secret": _("The client secret of an application (OAuth2), by its value."),
    "console_password": _("The SMTP password that was set for this sender in the console."),
    "domain_password": _("The SMTP password of the domain."),
    "exchange_password": _("The password of the mailbox's login."),
    "mailbox_password": _("The mailbox's password."),
    "microsoft_password": _(
        "The mailbox's password, only while the tenant still allows password sign-in."
    ),
    "no_password": _("None: the connector knows this portal's IP address or certificate."),
    "oauth2_only": _("None works: only OAuth2 does, with a refresh token."),
    "password_or_app_password": _(
        "The account's password, or an app password where two-factor sign-in is on."
    ),
    "provider_password": _("The password or key that the provider gives for SMTP."),
    "secret_key": _("The secret key that belongs to the API key."),
    "server_token": _("The same API token as the user name."),
    "ses_password": _("The SES SMTP password of this region, not an AWS secret key."),
    "smtp_key": _("An SMTP key, not an API key."),
}

_NETEASE: tuple[Words, ...] = (
    _("Sign in to the mailbox on the web, not in the mail client."),
    _("Open Settings, then POP3/SMTP/IMAP, and enable the SMTP service."),
    _("Pass the security check by text message."),
    _("The authorization code is shown once: keep it, and enter it as the password."),
)
_GOOGLE_APP_PASSWORD: tuple[Words, ...] = (
    _("Turn on 2-Step Verification for the account."),
    _("Open myaccount.google.com/apppasswords and make an app password for this portal."),
    _("Enter its letters as the password, without the spaces."),
)
GUIDES: Mapping[str, tuple[Words, ...]] = {
    "qq": (
        _("Sign in to QQ Mail on the web."),
        _("Click the account icon and open Account and Security."),
        _("Find the section POP3/IMAP/SMTP/Exchange/CardDAV service and click Enable."),
        _("Send the text message that is asked for."),
        _("The authorization code appears: enter it as the password."),
    ),
    "163": _NETEASE,
    "126": _NETEASE,
    "yeah": _NETEASE,
    "tencent-exmail": (
        _("Sign in to Exmail on the web and open Settings, then Client settings."),
        _("Tick the POP/SMTP service and save."),
        _(
            "How to set on the same page shows the outgoing server with port and encryption: "
            "they must match the ones here."
        ),
        _(
            "Where secure login is on: bind WeChat first, then generate a client-specific "
            "password, and enter that as the password."
        ),
    ),
    "exchange": (
        _("Ask the administrator of the mail server for its name or IP address and port."),
        _("Enter the mailbox's address as From, and its login name and password."),
        _(
            "Where the server offers no encryption, or has a private address, a system "
            "administrator of this portal must allow both."
        ),
        _("The display name is replaced by the mailbox's own."),
    ),
    "gmail": _GOOGLE_APP_PASSWORD,
    "google-workspace": (
        _("In Google Cloud make a service account with a key, and download the key file (JSON)."),
        _(
            "In the Admin console let the service account's client act for the domain "
            "(domain-wide delegation) with the scope https://mail.google.com/."
        ),
        _("Enter the service account's address as client id, and the key."),
        _("The user name is the mailbox to send as."),
        _("For an app password instead, an administrator of Workspace must allow them."),
    ),
    "microsoft365": (
        _("In Microsoft Entra register an application and make a client secret."),
        _("Give it the application permission SMTP.SendAsApp, with the administrator's consent."),
        _("In Exchange Online register its service principal (New-ServicePrincipal)."),
        _("Give the service principal permission on the mailbox."),
        _("Allow SMTP AUTH for that mailbox."),
        _("Enter the client id, the value of the client secret, and the tenant in the token URL."),
    ),
    "microsoft365-password": (
        _("Allow SMTP AUTH for the mailbox: it is off by default (aka.ms/smtp_auth_disabled)."),
        _("Security defaults block it: the tenant needs a policy of its own."),
        _("Enter the mailbox's sign-in name and password."),
    ),
}

_MICROSOFT_LIMITS: tuple[Words, ...] = (
    _("30 messages a minute, 10,000 recipients a day and 3 connections at a time."),
    _("Needs TLS 1.2."),
)
_LOGIN_IS_FROM: Words = _("From must be the address of the login.")
NOTES: Mapping[str, tuple[Words, ...]] = {
    "gmail": (
        _("From is rewritten to the account, unless Send mail as has the address."),
        _("The account's own password is not accepted."),
    ),
    "google-workspace": (_("2,000 messages a day."),),
    "google-workspace-relay": (
        _("10,000 messages a user in 24 hours."),
        _("Any address of the own domains may be in From; another becomes the postmaster's."),
    ),
    "microsoft365": _MICROSOFT_LIMITS,
    "microsoft365-password": _MICROSOFT_LIMITS,
    "microsoft365-hve": (_("Only to recipients inside the own tenant."),),
    "microsoft365-connector": (
        _("Replace DOMAIN-COM by the domain with hyphens, for example example-com."),
        _("The connector must know this portal's fixed IP address or its certificate."),
    ),
    "exchange": (_("The server's certificate often comes from a CA of the company: paste it."),),
    "qq": (
        _LOGIN_IS_FROM,
        _("The provider does not publish its limits."),
        _("A change of the QQ password makes the code invalid."),
    ),
    "tencent-exmail": (_("The provider does not publish its limits."),),
    "tencent-ses": (
        _("A new account: 500 messages a day, 20 a second, and 10 an hour to the same recipient."),
    ),
    **dict.fromkeys(
        ("163", "126", "yeah"),
        (_LOGIN_IS_FROM, _("There is a limit for a quarter of an hour; its number is not known.")),
    ),
    "sina": (_("VIP mailboxes have another server."),),
    "alibaba-mail": (
        _("New tenants have other mail clients switched off: an administrator allows them."),
        _("Port 25 is blocked in Alibaba's own cloud (ECS)."),
    ),
    "aliyun-directmail": (
        _("The server must be the one of the console's region."),
        _("The quota belongs to the account and stands in the console."),
    ),
    "zoho": (
        _("The wrong data centre looks like a wrong password: take the one of the account."),
        _("From must be an own address or alias."),
    ),
    "zoho-organization": (
        _("The wrong data centre looks like a wrong password: take the one of the account."),
        _("From must be an own address or alias."),
    ),
    "fastmail": (_("From may be any verified alias."),),
    "yandex": (_("Sign in on the web first and accept the terms."),),
    "amazon-ses": (
        _("Replace REGION by the region of the account, for example eu-west-1."),
        _("In the sandbox: 200 messages in 24 hours, 1 a second, verified recipients only."),
        _("Port 25 is throttled in Amazon's own cloud (EC2)."),
        _("Addresses with letters beyond ASCII before the @ are not taken."),
    ),
    "sendgrid": (_("5,000 messages a connection."),),
    "mailgun": (_("Domains in the EU have a server of their own."),),
    "postmark": (_("SSL/TLS on port 465 is not offered."),),
    "mailtrap": (_("The server for tests delivers to nobody."),),
}

_AS_OF = date(2026, 11, 1)
WARNINGS: Mapping[str, tuple[DatedWarning, ...]] = {
    "microsoft365": (
        DatedWarning(
            _(
                "Password sign-in ends: Microsoft switches it off by default at the end of "
                "December 2026. OAuth2, as filled in here, is the way that lasts."
            ),
            as_of=_AS_OF,
            on=date(2026, 12, 31),
        ),
    ),
    "microsoft365-password": (
        DatedWarning(
            _(
                "At the end of December 2026 Microsoft switches password sign-in for SMTP off by "
                "default for existing tenants, where an administrator can allow it again; new "
                "tenants do not have it by default. The date of the final removal is to be "
                "announced in the second half of 2027 (MC786329). Use OAuth2."
            ),
            as_of=_AS_OF,
            on=date(2026, 12, 31),
        ),
    ),
    "outlook": (
        DatedWarning(
            _("Not usable with a password: Outlook.com takes OAuth2 only, no app passwords."),
            as_of=_AS_OF,
        ),
    ),
}

REGIONS: Mapping[str, Words] = {
    "australia": _("Australia"),
    "china": _("China"),
    "eu": _("EU"),
    "germany": _("Germany"),
    "india": _("India"),
    "international": _("International"),
    "japan": _("Japan"),
    "old": _("Older accounts"),
    "overseas": _("Overseas"),
    "saudi_arabia": _("Saudi Arabia"),
    "singapore": _("Singapore"),
    "tests": _("Tests"),
    "us": _("United States"),
}
