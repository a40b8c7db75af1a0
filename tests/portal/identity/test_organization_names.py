"""What an organization is called in letters of the host to strangers."""

import pytest

from portal.identity import organization_names
from portal.identity.models import Organization


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("Globex", "Globex"),
        ("环球电子 (上海)", "环球电子 (上海)"),
        ("Müller & Söhne GmbH", "Müller & Söhne GmbH"),
        ("Globex” on Gatepost. “Your account", "Globex on Gatepost. Your account"),
        ('"「«»」"', "short-name"),
        ("Globex, see evil.example/login", "short-name"),
        ("https://evil.example", "short-name"),
        ("Globex evil。example", "short-name"),
        ("G" * 61, "G" * 59 + "…"),
    ],
)
def test_an_organization_is_named_so_that_a_quotation_holds_it(name: str, called: str) -> None:
    organization = Organization(name=name, slug="short-name")
    assert organization_names.quotable(organization) == called
