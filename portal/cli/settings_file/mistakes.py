"""Every mistake of a settings file in one go: each part is tried, and what is wrong is gathered."""

from collections.abc import Iterator
from contextlib import contextmanager

from portal.cli.settings_file.document import Problem, Wrong
from portal.extensions import db


class Mistakes:
    """The mistakes found so far. A part that has one leaves nothing in the session."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []

    def __len__(self) -> int:
        return len(self._problems)

    @contextmanager
    def gathered(self, *, but: tuple[str, ...] = ()) -> Iterator[None]:
        """Try one part. `but`: places whose mistakes only follow from others, so are not told."""
        try:
            with db.session.begin_nested():
                yield
        except Wrong as wrong:
            untold = tuple(f"{place}:" for place in but)
            self._problems += [p for p in wrong.problems if not p.message.startswith(untold)]

    def refuse(self) -> None:
        """Raises Wrong where there was any mistake."""
        if self._problems:
            raise Wrong(dict.fromkeys(self._problems))
