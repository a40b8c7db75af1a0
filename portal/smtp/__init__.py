"""One SMTP client: takes values, owns no table."""
