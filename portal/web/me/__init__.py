"""A person's own pages."""

from portal.web.me import profile, security

__all__ = ["profile", "security"]
