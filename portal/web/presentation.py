"""How values look on a page: template filters and globals. `register` installs them all."""

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache

from flask import Flask, url_for
from flask_babel import (
    format_date,
    format_datetime,
    format_decimal,
    format_time,
    format_timedelta,
    get_locale,
    get_timezone,
    gettext,
)

from portal import clock, resources
from portal.delivery.counting import Count
from portal.settings import overview
from portal.web import words

# Patterns of CLDR by shape and language; English as in "20 Nov 2026, 14:31".
_SHAPES = {
    "full": {"en": "d MMM y, HH:mm", "zh": "y-MM-dd HH:mm"},
    "date": {"en": "d MMM y", "zh": "y-MM-dd"},
    "day": {"en": "d MMM", "zh": "M月d日"},
    "exact": {"en": "d MMM y, HH:mm:ss", "zh": "y-MM-dd HH:mm:ss"},
}


def register(app: Flask) -> None:
    """Install the filters and globals that layouts and components use."""
    app.add_template_filter(localtime)
    app.add_template_filter(iso)
    app.add_template_filter(utc)
    app.add_template_filter(ago)
    app.add_template_filter(number)
    app.add_template_filter(counted)
    app.add_template_filter(duration)
    app.add_template_filter(initials)
    app.add_template_filter(anchor)
    app.add_template_filter(as_lines)
    app.add_template_filter(words.kind_name, "kind_name")
    app.add_template_filter(words.carried, "carried")
    app.add_template_filter(words.server_said, "server_said")
    app.add_template_filter(overview.told_cause)
    for name, table in {
        "reason": words.REASONS,
        "address_fault": words.ADDRESS_FAULTS,
        "phase": words.PHASES,
        "level": words.LEVELS,
        "encryption": words.ENCRYPTIONS,
    }.items():
        app.add_template_filter(_worded(table), name)
    for name, chips in {
        "delivery_chip": words.DELIVERY_STATES,
        "health_chip": words.HEALTH,
        "role_chip": words.ROLES,
        "severity_chip": words.SEVERITIES,
        "alert_chip": words.ALERT_STATUSES,
        "approval_chip": words.APPROVAL_STATES,
    }.items():
        app.add_template_filter(_chipped(chips), name)
    app.add_template_global(asset)
    app.add_template_global(page_language)
    app.add_template_global(zone_name)


def localtime(moment: datetime, shape: str = "full") -> str:
    """An aware time in the reader's zone. Shapes: full, date, day, time (14:31:58), exact."""
    if shape == "time":
        return str(format_time(moment, "HH:mm:ss"))
    pattern = _SHAPES[shape]["zh" if _is_chinese() else "en"]
    if shape in ("date", "day"):
        return str(format_date(moment, pattern))
    return str(format_datetime(moment, pattern))


def iso(moment: datetime) -> str:
    """For `datetime` attributes: RFC 3339, UTC, seconds. A naive time counts as UTC."""
    return f"{_in_utc(moment):%Y-%m-%dT%H:%M:%SZ}"


def utc(moment: datetime) -> str:
    """The exact time for the hover: 2026-11-20 06:31:58 UTC."""
    return f"{_in_utc(moment):%Y-%m-%d %H:%M:%S} UTC"


def ago(moment: datetime) -> str:
    """How long ago, or in how long, in words: 2 minutes ago."""
    delta = _in_utc(moment) - clock.utcnow()
    if abs(delta.total_seconds()) < 1:
        return str(gettext("now"))
    return str(format_timedelta(delta, add_direction=True, threshold=1))


def number(value: float | int | None) -> str:
    """A number with the reader's separators; a dash for none."""
    return "–" if value is None else str(format_decimal(value))


def counted(count: Count) -> str:
    """A bounded count: "more than 10,000" where counting stopped there."""
    told = number(count.number)
    return gettext("more than %(number)s", number=told) if count.is_more else told


def duration(milliseconds: float | int | None) -> str:
    """Milliseconds as people read them: 12 ms, 1.2 s, 4 min, 5 h 20 min; a dash for none."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1000:
        return str(gettext("%(count)s ms", count=round(milliseconds)))
    seconds = milliseconds / 1000
    if seconds < 120:
        return str(gettext("%(count)s s", count=format_decimal(round(seconds, 1))))
    minutes = round(seconds / 60)
    if minutes < 120:
        return str(gettext("%(count)s min", count=minutes))
    return str(gettext("%(hours)s h %(minutes)s min", hours=minutes // 60, minutes=minutes % 60))


def initials(name: str) -> str:
    """Up to two letters that stand for a person or an organization: Carol Reyes is CR."""
    parts = [part for part in re.split(r"[\s._@-]+", name) if part]
    if not parts:
        return "?"
    if len(parts) == 1:
        return parts[0][:2].capitalize()
    return (parts[0][0] + parts[1][0]).upper()


def as_lines(text: object) -> tuple[object, ...]:
    """Several sentences as they are; one text, lazy or not, by its lines; nothing for None."""
    if isinstance(text, (list, tuple)):
        return tuple(text)
    return () if text is None else tuple(str(text).splitlines())


def anchor(words_of_title: str) -> str:
    """An id for a heading: its words where they are ASCII, else a digest of them."""
    text = str(words_of_title).lower()
    if text.isascii():
        return re.sub(r"[^a-z0-9]+", "-", text).strip("-")
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def asset(filename: str) -> str:
    """The URL of a file in static/, with its digest, so that it may be kept for ever."""
    return url_for("static", filename=filename, v=_digest(filename))


def page_language() -> str:
    """The language of the page as BCP 47 wants it in `lang`."""
    locale = get_locale()
    if locale is None:
        return "en"
    return "zh-Hans" if locale.language == "zh" else str(locale.language)


def zone_name() -> str:
    """The name of the reader's time zone, for example Asia/Shanghai."""
    return str(get_timezone())


def _worded(table: Mapping[str, str]) -> Callable[[object], str]:
    return lambda slug: words.word(table, slug)


def _chipped(table: Mapping[str, words.Chip]) -> Callable[[object], words.Chip]:
    return lambda slug: words.state_chip(table, slug)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _is_chinese() -> bool:
    locale = get_locale()
    return locale is not None and locale.language == "zh"


@cache
def _digest(filename: str) -> str:
    content = (resources.folder("static") / filename).read_bytes()
    return hashlib.sha256(content).hexdigest()[:12]
