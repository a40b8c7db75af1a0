"""What the pasted certificates of an own authority say of themselves."""

import re
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from portal.clock import utcnow

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Authority:
    """One certificate. `subject` as RFC 4514 writes it."""

    subject: str
    expires_at: datetime

    @property
    def days_left(self) -> int:
        """Whole days until it ends; negative when it has."""
        return (self.expires_at - utcnow()).days

    @property
    def is_expired(self) -> bool:
        return self.expires_at <= utcnow()


def described(pem: str | None) -> list[Authority]:
    """Every certificate of a stored text, in its order."""
    found = (x509.load_pem_x509_certificate(part.encode()) for part in _PEM.findall(pem or ""))
    return [Authority(_subject(one), one.not_valid_after_utc) for one in found]


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "?"
