"""Where templates, static files and migrations lie: beside the package or inside the wheel."""

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_NAMES = ("templates", "static", "migrations")


@cache
def folder(name: str) -> Path:
    """The folder "templates", "static" or "migrations".

    A wheel carries them as `portal/bundled/<name>`; a checkout and an editable install have them
    beside the package. Raises ValueError for another name, FileNotFoundError when it is missing.
    """
    if name not in _NAMES:
        raise ValueError(f"No folder is called {name!r}; there are {', '.join(_NAMES)}.")
    places = (_PACKAGE / "bundled" / name, _PACKAGE.parent / name)
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"{name} is neither at {places[0]} nor at {places[1]}.")
