"""One AUTH attempt for one password (RFC 4954): which mechanism, and what to say in it."""

import base64
from dataclasses import dataclass

from portal.smtp.capabilities import Capabilities
from portal.smtp.causes import Cause
from portal.smtp.values import Authentication, Bundle, Encryption, Failure, Phase

# RFC 4954, 4: a longer initial response has to wait for the server's 334.
_LONGEST_COMMAND = 510


@dataclass(frozen=True)
class Login:
    """A command line, and the answers to the 334 challenges that may follow, in their order."""

    mechanism: str
    command: str
    answers: tuple[str, ...]


def policy_failure(bundle: Bundle) -> Failure | None:
    """Why no connection is opened with this bundle at all; None where one may be."""
    if bundle.authentication not in (Authentication.NONE, Authentication.PASSWORD):
        return Failure(Phase.POLICY, Cause.OAUTH_UNSUPPORTED)
    clear = bundle.encryption is Encryption.NONE and not bundle.allow_clear_login
    if clear and bundle.authentication is not Authentication.NONE:
        return Failure(Phase.POLICY, Cause.CLEAR_LOGIN_FORBIDDEN)
    return None


def login(bundle: Bundle, capabilities: Capabilities) -> Login | Cause:
    """How to log in here with the bundle's password; a Cause where that can't be done.

    XOAUTH2 belongs here: a mechanism whose command carries the access token.
    """
    name, secret = bundle.login_name, bundle.secret or ""
    if "PLAIN" in capabilities.auth:
        return _plain(_base64(f"\0{name}\0{secret}"))
    if "LOGIN" in capabilities.auth:
        return Login("LOGIN", "AUTH LOGIN", (_base64(name), _base64(secret)))
    if not capabilities.auth:
        return Cause.AUTH_MISSING
    if "NTLM" in capabilities.auth and set(capabilities.auth) <= {"NTLM", "GSSAPI", "NEGOTIATE"}:
        return Cause.AUTH_NTLM_ONLY
    return Cause.AUTH_UNSUPPORTED


def secrets_of(bundle: Bundle) -> tuple[str, ...]:
    """Every form in which the bundle's secret goes out, longest first, to mask echoes of it."""
    if not bundle.secret:
        return ()
    plain = _base64(f"\0{bundle.login_name}\0{bundle.secret}")
    return (plain, _base64(bundle.secret), bundle.secret)


def _plain(response: str) -> Login:
    command = f"AUTH PLAIN {response}"
    if len(command) <= _LONGEST_COMMAND:
        return Login("PLAIN", command, ())
    return Login("PLAIN", "AUTH PLAIN", (response,))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
