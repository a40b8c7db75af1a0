"""`portal backup` and `portal restore`: a whole installation as one file, and back."""

import errno
import shutil
from importlib.metadata import version
from pathlib import Path

import click

from portal.cli import factory
from portal.cli.archive import key_files, package, restoring, workplace
from portal.cli.archive.manifest import Manifest
from portal.cli.archive.restoring import Restored, Wish
from portal.cli.failures import Failed
from portal.clock import utcnow
from portal.config import Config

_FILE = click.Path(path_type=Path, dir_okay=False)

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MIB = 1024 * 1024


@click.command()
@click.argument("file", type=_FILE)
@click.option("--with-keys", is_flag=True, help="Take the keys along, which open all passwords.")
def backup(file: Path, with_keys: bool) -> None:
    """Write database and, if asked for, keys to FILE; the portal may run meanwhile."""
    config = Config.from_environment()
    try:
        if file.exists():
            raise Failed(f"{file} is there already. Name a new file.")
        manifest = write(config, file, with_keys=with_keys)
    except OSError as problem:
        raise _not_written(file, problem) from None
    rows = sum(manifest.rows.values())
    click.echo(f"Wrote {file}: {rows} rows in {len(manifest.rows)} tables, at {manifest.schema}.")
    if with_keys:
        click.echo(
            f"WARNING: {file} holds the keys that open every stored password. "
            "Whoever has it has them all: encrypt it before it leaves this machine."
        )
    else:
        click.echo(key_files.to_be_kept(config, manifest.key_ids))


@click.command()
@click.argument("file", type=_FILE)
@click.option("--replace", is_flag=True, help="Put it in place of an installation in use.")
@click.option(
    "--send-waiting",
    is_flag=True,
    help="Send the mail that waited when the backup was made; some may have gone out since.",
)
def restore(file: Path, replace: bool, send_waiting: bool) -> None:
    """Put the backup FILE in place, all of it or nothing; stop the portal first."""
    wish = Wish(file, replace=replace, send_waiting=send_waiting)
    config = Config.from_environment()
    try:
        factory.require_owner(config)
        restored = restoring.restore(config, wish)
    except OSError as problem:
        place = problem.filename or file
        raise Failed(
            f"{place} cannot be used: {problem.strerror or problem}. Nothing was changed."
        ) from None
    for line in _told(restored, wish):
        click.echo(line)


def write(config: Config, file: Path, *, with_keys: bool) -> Manifest:
    """Write the archive. Raises Failed, ConfigError and OSError."""
    store = restoring.store_of(config)
    # Beside the target, where there is room for the archive too.
    with workplace.beside(file) as folder:
        made_at = utcnow()
        copied = store.copy(folder)
        if copied.schema is None:
            raise Failed("The database is empty. Nothing to back up.")
        parts = [*copied.parts, *(key_files.take_along(config, folder) if with_keys else ())]
        manifest = Manifest(
            version=version("gatepost"),
            engine=store.name,
            schema=copied.schema,
            made_at=made_at.isoformat(timespec="seconds"),
            rows=copied.rows,
            key_ids=copied.key_ids,
            parts={part: package.digest_of(folder / part) for part in parts},
            columns=copied.columns,
        )
        package.pack(file, manifest, folder)
    return manifest


def _not_written(file: Path, problem: OSError) -> Failed:
    cause = problem.strerror or problem
    if problem.errno not in _NO_ROOM:
        return Failed(
            f"{file} cannot be written: {cause}. Name a file in a folder that this user may "
            "write to."
        )
    folder = file.absolute().parent
    free = shutil.disk_usage(folder).free // _MIB
    return Failed(
        f"The backup cannot be written to {folder}: {cause} ({free} MiB are free). While it is "
        "made it takes twice the room of the database: make room there, or name a file on "
        "another disk. The database is as it was."
    )


def _told(restored: Restored, wish: Wish) -> list[str]:
    made = restored.manifest
    lines = [f"Restored the backup of {made.made_at} (Gatepost {made.version}).", *restored.lines]
    if restored.waiting and wish.send_waiting:
        lines.append(
            f"Mail that waited then: {restored.waiting}. It goes out when a worker starts; "
            "what went out after the backup was made goes out twice."
        )
    elif restored.waiting:
        lines.append(
            f"Mail that waited then: {restored.waiting}. It is held (Restored from backup), so "
            "that nothing goes out twice, and expires by its own lifetime. To send it after all: "
            "portal send-restored"
        )
    return [*lines, "Start the portal, then look at: portal doctor"]
