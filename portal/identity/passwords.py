"""Passwords: argon2id (RFC 9106), at least 12 characters, none of the common ones."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from portal.validation import Invalid

SHORTEST = 12
LONGEST = 200

hasher = PasswordHasher()
# Verified where an account does not exist, so that the answer takes as long as for one that does.
_NOBODYS_HASH = hasher.hash("nobody signs in with this")


def hash_password(password: str) -> str:
    """The argon2id hash. White space counts."""
    return hasher.hash(password)


def matches(password: str, password_hash: str | None) -> bool:
    """Whether the password fits. Takes the same time for an account without a password."""
    try:
        fits = hasher.verify(password_hash or _NOBODYS_HASH, password)
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False
    return fits and password_hash is not None


def check_new(field: str, password: str, *, about: tuple[str, ...] = ()) -> str:
    """A password that may be chosen. `about`: the person's own words. Raises Invalid."""
    if len(password) < SHORTEST:
        raise Invalid.field(
            field, f"Choose at least {SHORTEST} characters; this has {len(password)}."
        )
    if len(password) > LONGEST:
        raise Invalid.field(field, f"Choose at most {LONGEST} characters.")
    folded = password.casefold().strip()
    if len(set(folded)) < 4 or _is_common(folded):
        raise Invalid.field(
            field, "This password is too easy to guess. Choose, for example, four unrelated words."
        )
    if any(word and word.casefold() in folded and len(folded) < len(word) + 6 for word in about):
        raise Invalid.field(field, "Leave your own name and address out of the password.")
    return password


def _is_common(folded: str) -> bool:
    letters = folded.strip("0123456789!@#$%^&*._- ")
    stems, sequences = _COMMON
    return letters in stems or folded in sequences


_STEMS = """
password passwort passw0rd p@ssword p@ssw0rd motdepasse contraseña qwertyuiop qwertzuiop qwerty
qwertz asdfghjkl azertyuiop letmein letmeinplease welcome iloveyou administrator admin changeme
changemenow secret supersecret trustno1 monkey dragon football baseball superman batman sunshine
princess passwordpassword adminadmin qwertyqwerty welcomewelcome default gatepost gatepostadmin
woaini mima abcdefgh abcdefghijkl abcdefghijklm
"""
_SEQUENCES = """
123456789012 1234567890123 12345678901234 1q2w3e4r5t6y 1qaz2wsx3edc 012345678901 0987654321098
qwerty123456 123qweasdzxc zaq12wsxcde3 q1w2e3r4t5y6 abcd12345678
"""
_COMMON = frozenset(_STEMS.split()), frozenset(_SEQUENCES.split())
