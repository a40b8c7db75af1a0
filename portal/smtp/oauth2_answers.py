"""What a token endpoint's answer means (RFC 6749, 5): a token, or a failure. Pure."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from portal.smtp.causes import Cause
from portal.smtp.oauth2_endpoint import Answer
from portal.smtp.replies import escaped
from portal.smtp.reports import Reporter
from portal.smtp.values import Failure, Phase

# Beyond this a line of the login would be longer than servers have to take (RFC 4954, 4).
_TOKEN = re.compile(r"[!-~]{1,8192}")
_LONGEST_LIFE = 24 * 3600
# For a token whose life is not told, in seconds.
_SHORT_LIFE = 300
_LATER = ("temporarily_unavailable", "server_error", "slow_down")


@dataclass(frozen=True)
class Token:
    """An access token that `lasts` so many seconds, and the refresh token that came with it."""

    value: str = field(repr=False)
    lasts: float
    refresh_token: str | None = field(default=None, repr=False)


def read(answer: Answer, *, secrets: Sequence[str]) -> Token | Failure:
    """`secrets` are masked in what is kept of a refusal."""
    told = _object(answer.body)
    if answer.status == 200:
        return _token(told) or _unavailable(answer, "the answer holds no token")
    if 300 <= answer.status <= 399:
        return _unavailable(answer, "a redirect, which is not followed")
    error = told.get("error")
    refused = 400 <= answer.status <= 499 and answer.status not in (408, 429)
    if refused and isinstance(error, str) and error not in _LATER:
        return _refusal(answer, error, told.get("error_description"), secrets)
    return _unavailable(answer, "no token")


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _token(told: dict[str, Any]) -> Token | None:
    value, refresh = told.get("access_token"), told.get("refresh_token")
    kind = str(told.get("token_type") or "bearer").lower()
    if not isinstance(value, str) or not _TOKEN.fullmatch(value) or kind != "bearer":
        return None
    usable = isinstance(refresh, str) and _TOKEN.fullmatch(refresh)
    return Token(value, _life(told.get("expires_in")), str(refresh) if usable else None)


def _life(told: Any) -> float:
    text = str(told)
    if isinstance(told, bool) or not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text, re.ASCII):
        return _SHORT_LIFE
    return min(float(text), _LONGEST_LIFE)


def _refusal(answer: Answer, error: str, description: Any, secrets: Sequence[str]) -> Failure:
    text = f"{error}: {description}" if isinstance(description, str) else error
    masked = Reporter("", tuple(secrets)).mask(text)
    return Failure(
        Phase.AUTH,
        Cause.TOKEN_REFUSED,
        reply=escaped(" ".join(masked.split()).encode("utf-8", "replace")),
        detail=_where(answer),
    )


def _unavailable(answer: Answer, why: str) -> Failure:
    detail = f"{_where(answer)}, {why}"
    return Failure(Phase.AUTH, Cause.TOKEN_UNAVAILABLE, detail=detail)


def _where(answer: Answer) -> str:
    return f"token endpoint {answer.endpoint.authority}: HTTP {answer.status}"
