"""Users, organizations, memberships, roles, tokens, permissions and sessions."""
