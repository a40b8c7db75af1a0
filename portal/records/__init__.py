"""Sending records: reading what became of each mail."""
