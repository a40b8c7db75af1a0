"""What the two engines have in common as the source and the target of a backup."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from portal.cli.archive.manifest import Manifest
from portal.config import Config

# Rows here mean that somebody uses the installation.
TELLING_TABLES = ("organizations", "users", "senders", "api_tokens", "deliveries")
KEY_TABLE = "encryption_keys"
SCHEMA_TABLE = "alembic_version"


@dataclass(frozen=True)
class Copied:
    """A consistent copy as files: their names, and what they hold."""

    parts: tuple[str, ...]
    schema: str | None
    rows: Mapping[str, int]
    key_ids: tuple[str, ...]
    columns: Mapping[str, list[str]]


class Store(Protocol):
    """One engine. Every method raises Failed with the cure."""

    @property
    def name(self) -> str:
        """What the manifest calls the engine."""

    def copy(self, folder: Path) -> Copied:
        """Copy one moment of the database into `folder`, while others read and write."""

    def is_used(self) -> bool:
        """Whether there is an installation that a restore would replace."""

    def stage(self, folder: Path, manifest: Manifest) -> AbstractContextManager["Staged"]:
        """The archive's tables beside those in use; gone after the block unless put in place."""


class Staged(Protocol):
    """The archive's tables, not in use yet: to be brought to this version, then put in place."""

    @property
    def config(self) -> Config:
        """The configuration that reaches these tables."""

    def load(self) -> None:
        """Fill the tables, which are at the archive's schema by now."""

    def put_in_place(self) -> Iterator[str]:
        """Make them the tables in use, all at once. Gives lines to be told."""
