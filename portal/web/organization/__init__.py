"""An organization's pages, for its Administrators and Members."""

from portal.web.organization import api_tokens as api_tokens
from portal.web.organization import audit as audit
from portal.web.organization import logo as logo
from portal.web.organization import mail_settings as mail_settings
from portal.web.organization import members as members
from portal.web.organization import overview as overview
from portal.web.organization import records as records
from portal.web.organization import routing as routing
from portal.web.organization import senders as senders
