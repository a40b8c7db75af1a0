"""The host's pages, for system administrators."""

from portal.web.host import acting as acting
from portal.web.host import administrators as administrators
from portal.web.host import affected as affected
from portal.web.host import api_tokens as api_tokens
from portal.web.host import audit as audit
from portal.web.host import delivery_engine as delivery_engine
from portal.web.host import logo as logo
from portal.web.host import mail_catcher as mail_catcher
from portal.web.host import mail_settings as mail_settings
from portal.web.host import organization_limits as organization_limits
from portal.web.host import organization_state as organization_state
from portal.web.host import organizations as organizations
from portal.web.host import overview as overview
from portal.web.host import records as records
from portal.web.host import senders as senders
from portal.web.host import set_up as set_up
