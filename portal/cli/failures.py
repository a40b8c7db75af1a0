"""How a command says that it failed: one clear line on stderr, exit code 1."""

from typing import IO, Any

import click

from portal import logs


class Failed(click.ClickException):
    """What was asked for could not be done. The message says what to do next."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        """On stderr; a role whose console is read by a program says it in its log."""
        if logs.speaks_json():
            logs.logger("portal").error(self.format_message())
        else:
            super().show(file)


def one_line(text: str) -> str:
    return " ".join(text.split())
