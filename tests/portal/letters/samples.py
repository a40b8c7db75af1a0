"""One believable notification of every kind, and an identity to write it as."""

from typing import Any

from portal.letters.compose import Identity

ZONE = "Asia/Shanghai"
GLOBEX = Identity(
    platform_name="Gatepost",
    display_name="Globex",
    title_prefix="[Globex]",
    footer="Globex Operations, Bahnhofstrasse 1, Zurich",
    organization_name="Globex",
    base_url="https://portal.globex.test",
)
HOST = Identity(
    platform_name="Gatepost",
    display_name="",
    title_prefix="",
    footer="",
    base_url="https://portal.globex.test",
)
_APPROVAL = {
    "title": "Release billing 4.12.0 to prod-east?",
    "text": "Fixes double billing of annual plans (GX-4471).\n\nRoll-back takes 4 minutes.",
    "resource_name": "billing / prod-east",
    "resource_url": "https://ci.globex.test/billing?run=7&step=2",
    "requested_by": "Sofia Lindqvist",
    "expires_at": "2026-11-20T10:00:00Z",
}
_DECIDED = _APPROVAL | {
    "decided_by": "Liu Yang",
    "decided_at": "2026-11-20T17:12:00+08:00",
    "comment": "Looks right.\nWatch the queue.",
    "approval_url": "https://portal.globex.test/approvals/17",
}
_SENDER = {
    "owner_name": "Globex",
    "sender_name": "main",
    "server": "smtp.exmail.qq.com:465",
    "since_at": "2026-11-20T01:12:00Z",
    "waiting": 118,
    "sender_url": "https://portal.globex.test/organizations/globex/senders",
}
DATA: dict[str, dict[str, Any]] = {
    "security.password_recovery": {
        "person_name": "Carol Reyes",
        "recovery_url": "https://portal.globex.test/recovery/s3cret",
        "requested_from": "203.0.113.7",
    },
    "security.invitation": {
        "person_name": "Bob Okafor",
        "organization_name": "Acme",
        "role": "administrator",
        "invited_by": "Alice Moreau",
        "invitation_url": "https://portal.globex.test/invitations/s3cret",
    },
    "alert.raised": {
        "title": "CPU of db-prod-3 above 95 % for 10 minutes",
        "severity": "critical",
        "text": "The load has stayed above the limit since 14:21.\nReplication lag is 42 s.",
        "resource_name": "db-prod-3, PostgreSQL primary",
        "resource_url": "https://grafana.globex.test/d/3",
        "starts_at": "2026-11-20T06:21:00Z",
        "raised_by": "alertmanager-eu",
        "alert_url": "https://portal.globex.test/alerts/5",
    },
    "approval.requested": _APPROVAL
    | {
        "approve_url": "https://portal.globex.test/decisions/s3cret-yes",
        "reject_url": "https://portal.globex.test/decisions/s3cret-no",
    },
    "approval.approved": _DECIDED,
    "approval.rejected": _DECIDED,
    "mail.test": {
        "sender_name": "alerts",
        "server": "smtp.globex.test, port 587, STARTTLS",
        "level": "organization",
        "asked_by": "Carol Reyes",
    },
    "mail.sender_failing": _SENDER
    | {
        "reason": "The server refuses this user name or password.",
        "cure": "Make a new authorization code, enter it, test, save.",
        "cause": "auth_refused",
    },
    "mail.sender_recovered": _SENDER
    | {
        "waiting_since_at": "2026-11-20T01:13:00Z",
        "works_since_at": "2026-11-20T04:19:00Z",
        "lasted": 11_220,
    },
    "mail.credential_expiring": _SENDER
    | {
        "credential": "client_secret",
        "expires_at": "2026-11-27T00:00:00Z",
        "days_left": "7",
        "tested_at": "2026-06-01T08:00:00Z",
    },
}
