"""The HTTP API, for systems."""
