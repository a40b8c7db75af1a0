"""An organization's pages, for its Administrators and Members."""

from portal.web.organization import api_tokens as api_tokens
from portal.web.organization import audit as audit
from portal.web.organization import members as members
