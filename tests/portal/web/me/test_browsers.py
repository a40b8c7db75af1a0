"""Browsers under the names that people know."""

import pytest

from portal.web.me import browsers

_KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (f"Mozilla/5.0 (X11; Linux x86_64) {_KIT} Chrome/130.0 Safari/537.36", ("Chrome", "Linux")),
        (
            f"Mozilla/5.0 (Windows NT 10.0) {_KIT} Chrome/130.0 Safari/537.36 Edg/130.0",
            ("Edge", "Windows"),
        ),
        ("Mozilla/5.0 (Windows NT 10.0; rv:132.0) Gecko/20100101 Firefox/132.0",
         ("Firefox", "Windows")),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_7) AppleWebKit/605.1.15 Safari/605",
         ("Safari", "macOS")),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) CriOS/130.0 Safari/604.1",
         ("Chrome", "iPhone")),
        ("curl/8.0", ("curl", None)),
        ("<script>", (None, None)),
        (None, (None, None)),
    ],
)  # fmt: skip
def test_a_browser_is_known_by_name(
    user_agent: str | None, expected: tuple[str | None, str | None]
) -> None:
    assert browsers.parts(user_agent) == expected
