"""How often a password may be tried, a recovery mail asked for, or an address invited.

Counted by account and address together, and by address alone: whoever guesses from elsewhere never
locks the owner out. A try is written down before the password is looked at, so that many at once
are counted too; a right password takes its own tries away.
"""

import hashlib
import ipaddress
import uuid
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, select

from portal.clock import utcnow
from portal.extensions import db
from portal.identity.models import SignInAttempt
from portal.validation import address_key

WINDOW = timedelta(minutes=15)
TRIES_OF_ACCOUNT = 10
TRIES_OF_ADDRESS = 50
RECOVERY_WINDOW = timedelta(hours=1)
RECOVERIES_OF_ACCOUNT = 3
RECOVERIES_OF_ADDRESS = 20
# Mail to somebody who did not ask for it. One organization leaves room for another.
INVITATION_WINDOW = timedelta(days=1)
INVITATIONS_AN_HOUR = 3
INVITATIONS_A_DAY = 4
INVITATIONS_OF_ALL_A_DAY = 5


class Throttled(Exception):
    """Too many tries. `until`: when the next one counts."""

    def __init__(self, until: datetime) -> None:
        self.until = until
        super().__init__(f"too many tries until {until:%H:%M:%S} UTC")


def admit_sign_in(email: str, *, ip: str | None) -> None:
    """Write one try down. Raises Throttled instead when there were too many."""
    account, network = _account("sign-in", email), _network(ip)
    _forget_old(account, network)
    both = (SignInAttempt.account == account) & (SignInAttempt.ip == network)
    tries = SignInAttempt.account.like("sign-in:%") & (SignInAttempt.ip == network)
    _refuse_beyond(TRIES_OF_ACCOUNT, both, WINDOW)
    _refuse_beyond(TRIES_OF_ADDRESS, tries, WINDOW)
    db.session.add(SignInAttempt(at=utcnow(), account=account, ip=network))


def forgive_sign_in(email: str, *, ip: str | None) -> None:
    """The password was right: the tries of this account from this address count no more."""
    db.session.execute(
        delete(SignInAttempt).where(
            SignInAttempt.account == _account("sign-in", email), SignInAttempt.ip == _network(ip)
        )
    )


def admit_recovery(email: str, *, ip: str | None) -> bool:
    """Write one request down. False: this account had its mails for now; nobody need know.

    Raises Throttled when the address asked too often.
    """
    account, network = _account("recovery", email), _network(ip)
    _forget_old(account, network)
    requests = SignInAttempt.account.like("recovery:%") & (SignInAttempt.ip == network)
    _refuse_beyond(RECOVERIES_OF_ADDRESS, requests, RECOVERY_WINDOW)
    earlier = _times(SignInAttempt.account == account, RECOVERY_WINDOW, RECOVERIES_OF_ACCOUNT)
    db.session.add(SignInAttempt(at=utcnow(), account=account, ip=network))
    return len(earlier) < RECOVERIES_OF_ACCOUNT


def admit_invitation(email: str, organization_id: uuid.UUID | None) -> None:
    """Write one invitation of the organization (None: of the host) to this address down.

    Raises Throttled when the address was mailed enough. Who calls holds the person's row, so that
    many at once are counted.
    """
    anyone = _account("invitation", email)
    own = _account("invitation", f"{organization_id}:{email}")
    now = utcnow()
    _forget(SignInAttempt.account.in_((anyone, own)), INVITATION_WINDOW)
    _refuse_beyond(INVITATIONS_OF_ALL_A_DAY, SignInAttempt.account == anyone, INVITATION_WINDOW)
    _refuse_beyond(INVITATIONS_A_DAY, SignInAttempt.account == own, INVITATION_WINDOW)
    _refuse_beyond(INVITATIONS_AN_HOUR, SignInAttempt.account == own, timedelta(hours=1))
    db.session.add_all(SignInAttempt(at=now, account=account) for account in (anyone, own))


def _refuse_beyond(limit: int, which: ColumnElement[bool], window: timedelta) -> None:
    times = _times(which, window, limit)
    if len(times) >= limit:
        raise Throttled(times[-1] + window)


def _times(which: ColumnElement[bool], window: timedelta, limit: int) -> list[datetime]:
    """The latest times, newest first, at most `limit`."""
    return list(
        db.session.scalars(
            select(SignInAttempt.at)
            .where(which, SignInAttempt.at > utcnow() - window)
            .order_by(SignInAttempt.at.desc())
            .limit(limit)
        )
    )


def _forget_old(account: str, network: str | None) -> None:
    # An invitation has no address of a visitor, as little as a try from a socket without one.
    is_invitation = SignInAttempt.account.like("invitation:%")
    which = (SignInAttempt.account == account) | (SignInAttempt.ip == network)
    _forget(which & ~is_invitation, RECOVERY_WINDOW)


def _forget(which: ColumnElement[bool], window: timedelta) -> None:
    # Here and not in a job: what is asked about is what grows.
    db.session.execute(delete(SignInAttempt).where(which, SignInAttempt.at < utcnow() - window))


def _account(what: str, email: str) -> str:
    # The table must not collect addresses that people typed by mistake, so it holds a digest.
    digest = hashlib.sha256(address_key(email).encode(errors="replace")).hexdigest()
    return f"{what}:{digest}"[:64]


def _network(ip: str | None) -> str | None:
    """The address; of IPv6 its /64, which one customer owns as a whole."""
    try:
        address = ipaddress.ip_address(ip or "")
    except ValueError:
        return ip
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
