"""What an organization is called where the host writes to people who never heard of either: it is
quoted there, and the letter is the host's."""

import re

from portal.identity import person_names
from portal.identity.models import Organization

LONGEST = 60
# With these a name could end its quotation and go on as the host's own words.
_MARKS = re.compile(r"[\"\u201c-\u201f\u00ab\u00bb\u300c-\u300f\uff02]")


def quotable(organization: Organization) -> str:
    """Its name as one short line without quotation marks; its short name where that holds a link,
    or nothing is left."""
    name = " ".join(_MARKS.sub(" ", organization.name).split())
    if not name or person_names.holds_link(name):
        name = organization.slug
    return name if len(name) <= LONGEST else name[: LONGEST - 1].rstrip() + "\u2026"
