"""What the OAuth2 values of a sender must look like. Pure."""

from portal.smtp import oauth2_endpoint, oauth2_grants
from portal.smtp.oauth2_grants import GOOGLE_SCOPE, MICROSOFT_SCOPE, Incomplete
from portal.smtp.values import Authentication
from portal.validation import FieldError, Invalid, one_line

GOOGLE_TOKEN_URL = "https://oauth2.googleapis.com/token"
# The part of the documented Microsoft URL that everyone has to replace.
_PLACEHOLDER = "/TENANT/"
_EXAMPLE = "https://login.microsoftonline.com/your-tenant-id/oauth2/v2.0/token"
# The key under which each authentication's secret is given.
SECRET_KEY = {
    Authentication.PASSWORD: "password",
    Authentication.OAUTH2_CLIENT_CREDENTIALS: "client_secret",
    Authentication.OAUTH2_SERVICE_ACCOUNT: "private_key",
    Authentication.OAUTH2_REFRESH_TOKEN: "client_secret",
}
_TOKEN_URLS = {Authentication.OAUTH2_SERVICE_ACCOUNT: GOOGLE_TOKEN_URL}
_SCOPES = {
    Authentication.OAUTH2_CLIENT_CREDENTIALS: MICROSOFT_SCOPE,
    Authentication.OAUTH2_SERVICE_ACCOUNT: GOOGLE_SCOPE,
}


def token_url(key: str, raw: str) -> str:
    """A token URL as it was typed. Raises Invalid."""
    text = one_line(key, raw, longest=2000)
    try:
        oauth2_endpoint.read(text)
    except Incomplete:
        raise Invalid.field(key, f"Enter the whole token URL, for example {_EXAMPLE}.") from None
    if _PLACEHOLDER in text:
        raise Invalid.field(key, "Replace TENANT in the token URL by the id of your tenant.")
    return text


def token_url_or_default(authentication: Authentication, given: str | None) -> str | None:
    return given or _TOKEN_URLS.get(authentication)


def scope_or_default(authentication: Authentication, given: str | None) -> str | None:
    return given or _SCOPES.get(authentication)


def normal(url: str) -> str:
    """One spelling for every way to write the same token URL."""
    endpoint = oauth2_endpoint.read(url)
    scheme = "http" if endpoint.clear else "https"
    return f"{scheme}://{endpoint.authority}{endpoint.target}"


def errors_of(
    authentication: Authentication,
    *,
    url: str | None,
    client_id: str | None,
    domain: str | None,
) -> list[FieldError]:
    """What is missing or too much; nothing for an authentication without OAuth2."""
    if not authentication.is_oauth2:
        return []
    errors = []
    if domain:
        errors.append(FieldError("domain", "Leave the domain empty: OAuth2 knows none."))
    if not token_url_or_default(authentication, url):
        errors.append(FieldError("token_url", f"Enter the token URL, for example {_EXAMPLE}."))
    # A service account's key file may say whose it is.
    if not client_id and authentication is not Authentication.OAUTH2_SERVICE_ACCOUNT:
        errors.append(FieldError("client_id", "Enter the client id of the application."))
    return errors


def check_secret(authentication: Authentication, secret: str | None, client_id: str | None) -> None:
    """Whether a service account's key can be used. Raises Invalid, which never holds the key."""
    if authentication is not Authentication.OAUTH2_SERVICE_ACCOUNT:
        return
    try:
        account = oauth2_grants.service_account(secret or "")
    except Incomplete as problem:
        message = f"The private key is needed as PEM or as Google's key file (JSON): {problem}."
        raise Invalid.field("private_key", message) from None
    if not client_id and not account.email:
        raise Invalid.field(
            "client_id", "Enter the service account's address, or give its whole key file (JSON)."
        )
