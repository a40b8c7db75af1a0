"""The command line. Every command ends with 0 done, 1 failed, 2 wrong usage."""

from portal.cli.main import main

__all__ = ["main"]
