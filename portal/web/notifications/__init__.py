"""Alerts and approvals of an organization, and the page where an approver decides."""

from portal.web.notifications import alerts as alerts
from portal.web.notifications import approvals as approvals
from portal.web.notifications import decision as decision
