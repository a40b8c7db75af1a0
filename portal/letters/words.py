"""Words and marks that letters share, per language, and how a moment is written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from types import MappingProxyType
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.dates import format_datetime

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
HTML_LANGUAGE: Mapping[Language, str] = MappingProxyType({"en": "en", "zh": "zh-CN"})
LINK_REMOVED = "[link removed]"


class Tone(StrEnum):
    """The colour of the post beside a title; a word and a mark always say the same."""

    BAD = "bad"
    WAIT = "wait"
    OK = "ok"
    CALM = "calm"


@dataclass(frozen=True)
class Severity:
    """How a severity is called alone (in a subject) and as a line above the title."""

    word: str
    line: str
    tone: Tone


MARKS: Mapping[Tone, str] = MappingProxyType(
    {Tone.BAD: "▲", Tone.WAIT: "●", Tone.OK: "✓", Tone.CALM: "●"}
)
_SEVERITIES: Mapping[Language, Mapping[str, Severity]] = MappingProxyType(
    {
        "en": {
            "critical": Severity("Critical", "Critical alert", Tone.BAD),
            "error": Severity("Error", "Error", Tone.BAD),
            "warning": Severity("Warning", "Warning", Tone.WAIT),
            "info": Severity("Info", "For information", Tone.CALM),
            "": Severity("Alert", "Alert", Tone.WAIT),
        },
        "zh": {
            "critical": Severity("严重", "严重告警", Tone.BAD),
            "error": Severity("错误", "错误告警", Tone.BAD),
            "warning": Severity("警告", "警告", Tone.WAIT),
            "info": Severity("信息", "仅供参考", Tone.CALM),
            "": Severity("告警", "告警", Tone.WAIT),
        },
    }
)
_NAMES: Mapping[Language, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "system administrator": "System administrator",
            "administrator": "Administrator",
            "member": "Member",
            "host": "Host (the whole platform)",
            "platform": "Host (the whole platform)",
            "organization": "Organization",
        },
        "zh": {
            "system administrator": "系统管理员",
            "administrator": "管理员",
            "member": "成员",
            "host": "平台级",
            "platform": "平台级",
            "organization": "组织级",
        },
    }
)
_CUT = {
    "en": "[Cut here: the first {shown} of {whole} characters are shown.]",
    "zh": "[此处截断：共 {whole} 个字符，仅显示前 {shown} 个。]",
}
_SENT_BY = {"en": "Sent by {}.", "zh": "由 {} 发送。"}
_COLON = {"en": ": ", "zh": "："}
# Counts of mail are bounded; one above this stands for more.
_MOST = 10_000
_UNITS: Mapping[Language, tuple[tuple[int, str], ...]] = {
    "en": ((86_400, "{} d"), (3600, "{} h"), (60, "{} min"), (1, "{} s")),
    "zh": ((86_400, "{} 天"), (3600, "{} 小时"), (60, "{} 分钟"), (1, "{} 秒")),
}
_MOMENT = {"en": ("en", "d MMMM y, HH:mm", " ({})"), "zh": ("zh_Hans", "y年M月d日 HH:mm", "（{}）")}


def severity(value: str, language: Language) -> Severity:
    """The words of a severity; an unknown or empty one is called an alert."""
    known = _SEVERITIES[language]
    return known.get(value.lower(), known[""])


def name(value: str, language: Language) -> str:
    """A role or level in the reader's language; a word that is not known stays as it is."""
    return _NAMES[language].get(re.sub(r"[_\s-]+", " ", value).lower(), value)


def cut_note(*, shown: int, whole: int, language: Language) -> str:
    return _CUT[language].format(shown=f"{shown:,}", whole=f"{whole:,}")


def sent_by(language: Language) -> str:
    """A sentence with {} for the platform's name."""
    return _SENT_BY[language]


def colon(language: Language) -> str:
    return _COLON[language]


def mails(number: int, language: Language) -> str:
    """How many they are; counting stops at 10,000."""
    if language == "zh":
        return f"超过 {_MOST:,} 封" if number > _MOST else f"{number:,} 封"
    if number > _MOST:
        return f"more than {_MOST:,} mails"
    return "1 mail" if number == 1 else f"{number:,} mails"


def lasted(seconds: int, language: Language) -> str:
    """A time that passed, in its two largest units."""
    units = _UNITS[language]
    parts = []
    for length, unit in units:
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(unit.format(count))
        elif parts:
            break
    return " ".join(parts[:2]) or units[-1][1].format(0)


def moment(value: str, *, language: Language, timezone: str) -> str:
    """An RFC 3339 time as the reader writes it, with the offset from UTC.

    An unknown time zone counts as UTC, which the text then says. Raises ValueError when the value
    is no time or has no offset.
    """
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise ValueError("the time has no offset from UTC")
    local = instant.astimezone(_zone(timezone))
    locale, pattern, around = _MOMENT[language]
    written = format_datetime(local, pattern, tzinfo=local.tzinfo, locale=locale)
    return written + around.format(_offset(local.utcoffset() or timedelta()))


def _zone(timezone: str) -> tzinfo:
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _offset(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'+' if minutes > 0 else '−'}{hours}" + (f":{rest:02d}" if rest else "")
