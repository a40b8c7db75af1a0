"""The HTTP API, for systems. Importing the package fills its blueprint."""

from portal.web.api import (
    alerts,
    approvals,
    deliveries,
    limits,
    logo,
    mail_settings,
    openapi,
    organizations,
    sender_tests,
    senders,
    suppressions,
)

__all__ = [
    "alerts",
    "approvals",
    "deliveries",
    "limits",
    "logo",
    "mail_settings",
    "openapi",
    "organizations",
    "sender_tests",
    "senders",
    "suppressions",
]
