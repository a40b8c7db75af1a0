"""Gatepost: a self-hosted, multi-tenant portal for notification mail."""
