"""What of a sender ends on a day that is known: secrets and certificates."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from portal.clock import utcnow
from portal.settings import authorities
from portal.settings.models import SenderVersion
from portal.smtp.values import Encryption

_NEAR = 30  # days


class Credential(StrEnum):
    CLIENT_SECRET = "client_secret"
    SERVER_CERTIFICATE = "server_certificate"
    OWN_CA = "own_ca"


@dataclass(frozen=True)
class Expiry:
    """One credential and its end."""

    what: Credential
    at: datetime

    @property
    def days_left(self) -> int:
        """Whole days; negative when it is over."""
        return (self.at - utcnow()).days

    @property
    def is_near(self) -> bool:
        return self.days_left < _NEAR

    @property
    def is_over(self) -> bool:
        return self.at <= utcnow()


def of(version: SenderVersion) -> list[Expiry]:
    """Every end that is known of a version; of several own CAs the first to end."""
    found: list[tuple[Credential, datetime | None]] = []
    if version.authentication.is_oauth2:
        found.append((Credential.CLIENT_SECRET, version.client_secret_expires_at))
    if version.encryption is not Encryption.NONE:
        found.append((Credential.SERVER_CERTIFICATE, version.certificate_expires_at))
        if version.verify:
            ends = [one.expires_at for one in authorities.described(version.ca)]
            found.append((Credential.OWN_CA, min(ends, default=None)))
    return [Expiry(what, at) for what, at in found if at is not None]
