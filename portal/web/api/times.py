"""Times as the API takes and gives them: RFC 3339, in UTC."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_SHAPE = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SCHEMA = WithJsonSchema({"type": "string", "format": "date-time"})


def parse_time(raw: Any) -> datetime:
    """An aware time in UTC. Raises ValueError with the cure."""
    if isinstance(raw, datetime):
        return raw
    try:
        if not isinstance(raw, str) or not _SHAPE.fullmatch(raw):
            raise ValueError
        return datetime.fromisoformat(_microseconds(raw.upper())).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("Give a time with its zone, for example 2026-11-21T10:00:00Z.") from None


def parse_moment(raw: Any) -> datetime:
    """The same for a filter, where a day alone means its first moment in UTC."""
    if isinstance(raw, str):
        if _DAY.fullmatch(raw):
            raw = f"{raw}T00:00:00Z"
        # A plus sign that was not escaped in a query arrives as a blank.
        raw = re.sub(r" (\d\d:\d\d)$", r"+\1", raw)
    return parse_time(raw)


def shown(time: datetime) -> str:
    """RFC 3339 with microseconds, for example 2026-11-21T10:00:00.123456Z."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _microseconds(text: str) -> str:
    """Without the digits beyond microseconds, which no column keeps."""
    return re.sub(r"(\.\d{6})\d+", r"\1", text)


GivenTime = Annotated[datetime, BeforeValidator(parse_time), _SCHEMA]
Moment = Annotated[datetime, BeforeValidator(parse_moment), _SCHEMA]
ShownTime = Annotated[datetime, PlainSerializer(shown, return_type=str), _SCHEMA]
