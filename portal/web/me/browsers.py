"""What a browser calls itself, as people know it."""

import re

# The first that fits: later ones claim to be earlier ones for compatibility.
_BROWSERS = (
    ("Edge", r"\bEdg"),
    ("Opera", r"\bOPR/"),
    ("Samsung Internet", r"SamsungBrowser"),
    ("Firefox", r"Firefox|FxiOS"),
    ("Chrome", r"Chrome|CriOS|Chromium"),
    ("Safari", r"Safari/"),
    ("curl", r"^curl/"),
)
_SYSTEMS = (
    ("Android", r"Android"),
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("Windows", r"Windows"),
    ("macOS", r"Macintosh|Mac OS X"),
    ("Linux", r"Linux|X11"),
)


def parts(user_agent: str | None) -> tuple[str | None, str | None]:
    """Browser and system, as far as they can be told from a User-Agent (RFC 9110, 10.1.5)."""
    return _first(_BROWSERS, user_agent or ""), _first(_SYSTEMS, user_agent or "")


def _first(known: tuple[tuple[str, str], ...], user_agent: str) -> str | None:
    return next((name for name, pattern in known if re.search(pattern, user_agent)), None)
