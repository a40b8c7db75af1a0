"""One AUTH attempt for one password or token (RFC 4954): which mechanism, and what to say."""

import base64
import binascii
import json
from dataclasses import dataclass, replace

from portal.smtp.capabilities import Capabilities
from portal.smtp.causes import Cause
from portal.smtp.values import Authentication, Bundle, Encryption, Failure, Phase

# RFC 4954, 4: a longer initial response has to wait for the server's 334.
_LONGEST_COMMAND = 510


@dataclass(frozen=True)
class Login:
    """A command line, and the answers to the 334 challenges that may follow, in their order.

    An empty answer only takes note of why a token was refused; the refusal comes after it.
    """

    mechanism: str
    command: str
    answers: tuple[str, ...]


def policy_failure(bundle: Bundle) -> Failure | None:
    """Why no connection is opened with this bundle at all; None where one may be."""
    clear = bundle.encryption is Encryption.NONE and not bundle.allow_clear_login
    if clear and bundle.authentication is not Authentication.NONE:
        return Failure(Phase.POLICY, Cause.CLEAR_LOGIN_FORBIDDEN)
    return None


def login(bundle: Bundle, capabilities: Capabilities, token: str | None = None) -> Login | Cause:
    """How to log in here with the bundle's password, or with the access token where it says
    OAuth2; a Cause where that can't be done."""
    if not capabilities.auth:
        return Cause.AUTH_MISSING
    if bundle.authentication.is_oauth2:
        return _by_token(bundle, capabilities, token)
    name, secret = bundle.login_name, bundle.secret or ""
    if "PLAIN" in capabilities.auth:
        return _with_response("PLAIN", _base64(f"\0{name}\0{secret}"))
    if "LOGIN" in capabilities.auth:
        return Login("LOGIN", "AUTH LOGIN", (_base64(name), _base64(secret)))
    if "NTLM" in capabilities.auth and set(capabilities.auth) <= {"NTLM", "GSSAPI", "NEGOTIATE"}:
        return Cause.AUTH_NTLM_ONLY
    return Cause.AUTH_UNSUPPORTED


def secrets_of(bundle: Bundle, token: str | None = None) -> tuple[str, ...]:
    """Every form in which the bundle's secret, or the token in its place, goes out, longest
    first, to mask echoes of it."""
    if bundle.authentication.is_oauth2:
        return (_bearer(bundle, token), _base64(token), token) if token else ()
    if not bundle.secret:
        return ()
    plain = _base64(f"\0{bundle.login_name}\0{bundle.secret}")
    return (plain, _base64(bundle.secret), bundle.secret)


def refusal_of(challenge: str) -> str | None:
    """Why a server refuses a token: the JSON in its 334, in one spelling; None where it has none.

    Keeps only the members that XOAUTH2 knows.
    """
    try:
        told = json.loads(base64.b64decode(challenge, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    known = {key: str(told[key])[:100] for key in ("status", "schemes", "scope") if key in told}
    return json.dumps(known, separators=(",", ":")) if known else None


def _by_token(bundle: Bundle, capabilities: Capabilities, token: str | None) -> Login | Cause:
    if "XOAUTH2" not in capabilities.auth:
        return Cause.OAUTH_UNSUPPORTED
    if not token:
        return Cause.OAUTH_INCOMPLETE
    login = _with_response("XOAUTH2", _bearer(bundle, token))
    return replace(login, answers=(*login.answers, ""))


def _bearer(bundle: Bundle, token: str) -> str:
    return _base64(f"user={bundle.login_name}\1auth=Bearer {token}\1\1")


def _with_response(mechanism: str, response: str) -> Login:
    command = f"AUTH {mechanism} {response}"
    if len(command) <= _LONGEST_COMMAND:
        return Login(mechanism, command, ())
    return Login(mechanism, f"AUTH {mechanism}", (response,))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
