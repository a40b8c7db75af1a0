"""The archive as a file: a tar of the manifest and its parts, written whole or not at all."""

import hashlib
import os
import shutil
import tarfile
from pathlib import Path

from portal.cli.archive.manifest import Manifest
from portal.cli.failures import Failed

_MANIFEST = "manifest.json"
_UNFINISHED = ".unfinished"
_MANIFEST_LIMIT = 1024 * 1024


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pack(target: Path, manifest: Manifest, folder: Path) -> None:
    """Write the manifest and the parts, which lie in `folder`; only the owner may read it.

    `folder` is on the same disk as the target.

    Raises Failed where the target is there already, OSError where it cannot be written.
    """
    described = folder / _MANIFEST
    described.write_text(manifest.to_json(), encoding="utf-8")
    unfinished = folder / _UNFINISHED
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for name in (_MANIFEST, *sorted(manifest.parts)):
                    tar.add(folder / name, arcname=name, filter=_plain)
            file.flush()
            os.fsync(file.fileno())
        _name(unfinished, target)
    except FileExistsError:
        raise Failed(f"{target} is there already. Name a new file.") from None
    finally:
        unfinished.unlink(missing_ok=True)


def unpack(archive: Path, folder: Path) -> Manifest:
    """Write the parts into `folder` and check each against the manifest. Raises Failed."""
    try:
        with tarfile.open(archive, mode="r:") as tar:
            manifest = _manifest(tar)
            for name, digest in manifest.parts.items():
                _extract(tar, name, folder)
                if digest_of(folder / name) != digest:
                    raise Failed(
                        f"{archive} is damaged: {name} is not what was written. "
                        "Take another backup."
                    )
    except (tarfile.TarError, KeyError, EOFError):
        raise Failed(f"{archive} is no whole backup of Gatepost. Take another one.") from None
    except OSError as problem:
        raise Failed(f"{archive} cannot be read: {problem.strerror or problem}.") from None
    return manifest


def _manifest(tar: tarfile.TarFile) -> Manifest:
    found = tar.extractfile(_MANIFEST)
    if found is None:
        raise KeyError(_MANIFEST)
    return Manifest.from_json(found.read(_MANIFEST_LIMIT))


def _extract(tar: tarfile.TarFile, name: str, folder: Path) -> None:
    """One part by its name, which must be a plain one: an archive may be anybody's."""
    found = tar.extractfile(name)
    if found is None or Path(name).name != name or name.startswith("."):
        raise KeyError(name)
    with (folder / name).open("wb") as file:
        shutil.copyfileobj(found, file)


def _name(unfinished: Path, target: Path) -> None:
    """Give the whole archive its name. Raises FileExistsError where somebody took the name."""
    try:
        os.link(unfinished, target)
    except FileExistsError:
        raise
    except OSError:
        # Not every disk that backups go to knows links.
        if target.exists():
            raise FileExistsError(target) from None
        unfinished.rename(target)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the names of this machine's users."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o600
    return entry
