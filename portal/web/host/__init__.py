"""The host's pages, for system administrators."""
