"""The command `portal` and how its errors are told."""

import os
from typing import Any

import click

from portal.cli import (
    apply,
    backup,
    database,
    demo,
    doctor,
    export,
    jobs,
    people,
    processes,
    restored,
    roles,
    sender,
    up,
    web,
)
from portal.cli.failures import Failed, one_line
from portal.config import ConfigError
from portal.validation import Invalid
from portal.vault import VaultError


class _Portal(click.Group):
    """Turns foreseen errors into one line; a stack would hide what to do."""

    def invoke(self, ctx: click.Context) -> Any:
        # Databases, mail and keys are nobody else's on this machine.
        os.umask(0o077)
        try:
            return super().invoke(ctx)
        except ConfigError as problem:
            raise Failed(one_line(str(problem))) from None
        except Invalid as problem:
            lines = (one_line(f"{error.field}: {error.message}") for error in problem.errors)
            raise Failed("\n".join(lines)) from None
        except VaultError as problem:
            raise Failed(
                f"A stored secret cannot be opened: {one_line(str(problem))}. "
                "Restore the encryption keys."
            ) from None


@click.group(cls=_Portal)
@click.option("--parent", type=int, hidden=True, help="End when this process ends.")
@click.version_option(package_name="gatepost", prog_name="portal")
def main(parent: int | None) -> None:
    """Gatepost: a self-hosted portal for notification mail."""
    if parent is not None:
        processes.end_with(parent)


for command in (
    up.up,
    demo.demo,
    web.web,
    roles.worker,
    jobs.jobs,
    roles.catcher,
    database.database,
    apply.apply,
    export.export,
    doctor.doctor,
    backup.backup,
    backup.restore,
    restored.send_restored,
    people.admin,
    people.token,
    sender.sender,
):
    main.add_command(command)
