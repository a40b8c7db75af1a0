"""Where the files lie that an export names: a folder for each scope, so that whoever names senders
and tokens in one scope cannot name a file of another one."""

import hashlib
from urllib.parse import quote

from portal.identity.models import Organization

# One person has one password, whichever organizations they belong to.
PEOPLE = "people"
# Every file system takes names of 255 octets; endings come on top.
_LONGEST = 120


def folder_of(organization: Organization | None) -> str:
    """Relative to the settings file."""
    return f"organizations/{organization.slug}" if organization else "host"


def stem(name: str) -> str:
    """A file name that every system takes; two different names never have the same one."""
    quoted = quote(name, safe="@+")
    if len(quoted) <= _LONGEST:
        return quoted
    # Longer than every name that is not cut, so that none of them is the same.
    return f"{quoted[:_LONGEST]}~{hashlib.sha256(name.encode()).hexdigest()[:32]}"
