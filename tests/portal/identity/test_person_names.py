"""What people may be called: nothing to click, nothing to call, and every script."""

import pytest

from portal.identity import person_names
from portal.validation import Invalid


@pytest.mark.parametrize(
    "name",
    [
        "Ann Lee",
        "安妮",
        "ジョン・スミス",
        "김철수",
        "अनुष्का शर्मा",
        "محمد بن سلمان",
        "نسرین می\u200cخواهد",
        "Анна-Мария Иванова",
        "Ngô Đình Diễm",
        "J. R. R. Tolkien",
        "J.R.R. Tolkien",
        "Sammy Davis Jr.",
        "Dr. Eva Müller, Ph.D.",
        "J.-P. Sartre",
        "Siobhán O’Neil",
        "Raj s/o Kumar",
        "Louis 14",
        "Ann (Night Shift)",
    ],
)
def test_names_of_people_pass(name: str) -> None:
    assert person_names.check("name", f" {name} ") == name
    assert person_names.acceptable(name) == name


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("", "Enter a name"),
        ("\u00ad\u200b", "Enter a name"),
        ("https://evil", "without a link"),
        ("go to evil.test now", "without a link"),
        ("EVIL.TEST", "without a link"),
        ("t.me", "without a link"),
        ("evil\uff0etest", "without a link"),
        ("evil\u3002test", "without a link"),
        ("evil.\u200btest", "without a link"),
        ("зло.рф", "without a link"),
        ("Call 0800 12", "4 digits"),
        ("Call ٠٨٠٠١٢", "4 digits"),
        ("Call ①②③④⑤", "4 digits"),
        ("Ann\r\nBcc", "Remove"),
        ("Ann\x07", "Remove"),
        ("Ann <ann", "Leave out"),
        ("x" * 61, "60 characters"),
    ],
)
def test_what_is_more_than_a_name_is_refused_with_the_cure(name: str, cure: str) -> None:
    with pytest.raises(Invalid, match=cure) as refused:
        person_names.check("name", name)
    assert refused.value.errors[0].field == "name"
    assert person_names.acceptable(name) is None


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("bob@acme.test", "bob"),
        ("ann.lee@acme.test", "ann lee"),
        ("13800138000@acme.test", "Unnamed"),
        ("call-13800138000@acme.test", "call"),
        ("a" * 64 + "@acme.test", "a" * 60),
    ],
)
def test_who_is_known_by_the_address_alone_gets_a_name_made_of_it(address: str, name: str) -> None:
    assert person_names.from_address(address) == name
