"""Whether a bundle is proven: it passed its test, or differs from the one that sends in nothing
that a test would find."""

from datetime import datetime, timedelta

from sqlalchemy import select

from portal.clock import utcnow
from portal.extensions import db
from portal.settings import binding, effective
from portal.settings.models import PassedTest, Sender, SenderVersion
from portal.settings.scope import Scope
from portal.settings.sender_rules import SenderValues

# A pass counts for what is saved within this time.
_PASS_LASTS = timedelta(minutes=30)
# A change of one of these needs a new test; until it passes the active version sends on.
_TESTED = (
    "server",
    "port",
    "encryption",
    "verify",
    "ca",
    "authentication",
    "username",
    "domain",
    "from_address",
    "allow_clear_login",
    "client_id",
    "token_url",
    "scope",
)
# With these, what decides whether a server takes the mail: beside them a change mends nothing.
_WAY = (*_TESTED, "envelope_sender", "ehlo_name")


def remember(
    scope: Scope,
    values: SenderValues,
    secret: str | None,
    given_token: str | None = None,
    *,
    certificate_expires_at: datetime | None = None,
) -> None:
    """Note that this very bundle got the server's final 250, and the end of its certificate."""
    digest = binding.digest(scope, values, secret, given_token)
    db.session.add(
        PassedTest(scope=scope.key, digest=digest, certificate_expires_at=certificate_expires_at)
    )


def has_passed(
    scope: Scope, values: SenderValues, secret: str | None, given_token: str | None = None
) -> bool:
    """Whether this very bundle passed in the last 30 minutes. `given_token`: `binding.given`."""
    return newest(scope, values, secret, given_token) is not None


def newest(
    scope: Scope, values: SenderValues, secret: str | None, given_token: str | None = None
) -> PassedTest | None:
    """The last test of the last 30 minutes that this very bundle passed."""
    return db.session.scalar(
        select(PassedTest)
        .where(
            PassedTest.scope == scope.key,
            PassedTest.digest == binding.digest(scope, values, secret, given_token),
            PassedTest.at > utcnow() - _PASS_LASTS,
        )
        .order_by(PassedTest.at.desc(), PassedTest.id.desc())
        .limit(1)
    )


def is_proven(
    scope: Scope,
    sender: Sender,
    active: SenderVersion,
    *,
    values: SenderValues,
    secret: str | None,
    given_token: str | None = None,
) -> bool:
    """Whether nothing that needs a test differs from the version that sends.

    The secrets are compared too: one that a draft keeps may differ from the one that sends.
    """
    old = effective.values_of(active)
    same = all(getattr(old, key) == getattr(values, key) for key in _TESTED)
    same = same and active.refresh_token_given == given_token
    return same and secret_of(scope, sender, active) == secret


def go_the_same_way(one: SenderVersion, other: SenderVersion) -> bool:
    """Whether mail by both meets the same server in the same name and by the same sign-in. A secret
    that was typed again is another one."""
    same = all(getattr(one, key) == getattr(other, key) for key in _WAY)
    return same and one.secret_set_at == other.secret_set_at


def secret_of(scope: Scope, sender: Sender, version: SenderVersion) -> str | None:
    """The stored secret of a version, opened. Raises VaultError where it does not open here."""
    if version.secret is None:
        return None
    values = effective.values_of(version)
    return binding.unseal(version.secret, scope=scope, sender_id=sender.id, values=values)
