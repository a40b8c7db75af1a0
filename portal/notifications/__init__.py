"""Who is told what and why: recipients, routing, alerts, approvals, account mail."""
