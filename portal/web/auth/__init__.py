"""Pages for people who are not signed in: sign-in, recovery, invitation, set-up."""
