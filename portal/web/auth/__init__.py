"""Pages for people who are not signed in: sign-in, recovery, invitation, set-up."""

from portal.web.auth import invitation, recovery, set_up, sign_in

__all__ = ["invitation", "recovery", "set_up", "sign_in"]
