"""The manifest: what an archive holds, of which installation, and how to tell that it is whole."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from portal.cli.failures import Failed

FORMAT = 1
_FIELDS = {
    "format": int,
    "version": str,
    "engine": str,
    "schema": str,
    "made_at": str,
    "rows": dict,
    "columns": dict,
    "key_ids": list,
    "parts": dict,
}


@dataclass(frozen=True)
class Manifest:
    """`parts` maps the name of each part to its SHA-256; `rows` each table to its row count.

    `key_ids` are the encryption keys that the database was used with; `columns` names the columns
    of each table as its part holds them (PostgreSQL); `made_at` is ISO 8601 in UTC.
    """

    version: str
    engine: str
    schema: str
    made_at: str
    rows: Mapping[str, int]
    key_ids: tuple[str, ...]
    parts: Mapping[str, str]
    columns: Mapping[str, list[str]]
    format: int = FORMAT

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, content: bytes) -> "Manifest":
        """Raises Failed where this is no manifest, or one of a later format."""
        try:
            found: dict[str, Any] = json.loads(content)
            sound = all(isinstance(found.get(name), kind) for name, kind in _FIELDS.items())
        except (ValueError, AttributeError):
            sound = False
        if not sound:
            raise Failed("The archive's manifest cannot be read. Take another backup.")
        if found["format"] != FORMAT:
            raise Failed(
                f"The archive was made by Gatepost {found['version']} in a format that this "
                "version does not know. Restore it with that version or a newer one."
            )
        values = {name: found[name] for name in _FIELDS}
        return cls(**{**values, "key_ids": tuple(values["key_ids"])})
