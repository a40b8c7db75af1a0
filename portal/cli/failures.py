"""How a command says that it failed: one clear line on stderr, exit code 1."""

import click


class Failed(click.ClickException):
    """What was asked for could not be done. The message says what to do next."""

    exit_code = 1


def one_line(text: str) -> str:
    return " ".join(text.split())
