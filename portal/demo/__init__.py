"""Sample organizations and the built-in mail catcher, to look around without a mail server."""
