"""What can go wrong with an access token: at the token endpoint, and at the server."""

from flask_babel import lazy_gettext as _

from portal.smtp.causes import Cause
from portal.smtp.rules import Rule
from portal.smtp.values import Phase

_AUTH = frozenset({Phase.AUTH})
_REFUSED = frozenset({Cause.TOKEN_REFUSED})
_UNAVAILABLE = frozenset({Cause.TOKEN_UNAVAILABLE})

RULES = (
    Rule(
        _("This portal does not connect to that token endpoint."),
        _(
            "Check the token URL; it starts with https. Ask a system administrator to add an "
            "internal one with its port to the allowed destinations."
        ),
        phases=_AUTH,
        causes=frozenset({Cause.FORBIDDEN_DESTINATION}),
    ),
    Rule(
        _("The name of the token endpoint could not be found."),
        _("Check the spelling of the token URL."),
        causes=_UNAVAILABLE,
        words=("name_not_found",),
    ),
    Rule(
        _("The token endpoint's certificate is not accepted."),
        _("Check the token URL. For an endpoint of the company, paste the company's CA."),
        causes=_UNAVAILABLE,
        words=("tls_",),
    ),
    Rule(
        _("The token endpoint gave no token."),
        _(
            "It is tried again later. If it stays so, check the token URL, and whether this "
            "portal may reach it."
        ),
        causes=_UNAVAILABLE,
    ),
    Rule(
        _("The OAuth2 settings of this sender are not complete."),
        _("Enter the client id, the token URL and the secret, key or refresh token again."),
        causes=frozenset({Cause.OAUTH_INCOMPLETE}),
    ),
    Rule(
        _("The client secret has expired."),
        _("Make a new client secret for the application and enter its value."),
        causes=_REFUSED,
        words=("aadsts7000222",),
    ),
    Rule(
        _("The token endpoint does not know this client id or this tenant."),
        _("Check the client id, and the tenant in the token URL."),
        causes=_REFUSED,
        words=("aadsts700016", "aadsts90002", "aadsts900023"),
    ),
    Rule(
        _("The client secret is wrong or has expired."),
        _(
            "Make a new client secret for the application and enter its value, not its id. "
            "Check the client id as well."
        ),
        causes=_REFUSED,
        words=("invalid_client", "aadsts7000215"),
    ),
    Rule(
        _("The application has no consent for this."),
        _(
            "Give the administrator's consent. At Google, let the service account act for the "
            "domain with this scope."
        ),
        causes=_REFUSED,
        words=("unauthorized_client", "access_denied", "aadsts65001"),
    ),
    Rule(
        _("The token endpoint does not accept the scope."),
        _("Check the scope against the provider's help."),
        causes=_REFUSED,
        words=("invalid_scope", "aadsts70011", "aadsts1002012"),
    ),
    Rule(
        _("The refresh token or the service account's assertion is not valid any more."),
        _(
            "Sign in at the provider again and enter the new refresh token. For a service "
            "account check the key, its address, the user name and this computer's clock."
        ),
        causes=_REFUSED,
        words=("invalid_grant",),
    ),
    Rule(
        _("Microsoft 365 has SMTP login switched off for this tenant or mailbox."),
        _("An administrator of the tenant can enable it (aka.ms/smtp_auth_disabled)."),
        causes=_REFUSED,
        words=("smtpclientauthentication is disabled",),
    ),
    Rule(
        _("The access token was refused."),
        _(
            "The administrator's consent may be missing, or the application has no right to this "
            "mailbox: give consent, register the service principal, give it the mailbox. Check "
            "that the user name is the mailbox to send as."
        ),
        causes=_REFUSED,
    ),
)
