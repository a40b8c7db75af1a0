"""Each hostile value is refused by name, or the mail reads back as exactly what was meant."""

from email.utils import getaddresses
from typing import Any

import pytest

from portal.smtp.fast_message import MessageTemplate
from portal.smtp.headers import addr_spec
from portal.smtp.message import UnsafeMessage
from portal.smtp.wire import content_bytes, wire_address
from tests.portal.smtp.hostile_headers import (
    ADDRESSES,
    HIDDEN,
    KEPT,
    LAWFUL_ADDRESSES,
    REFUSED,
    Hostile,
)
from tests.portal.smtp.mails import HEADERS, MIME, build, lines_of, old_parsed, parsed
from tests.portal.smtp.templates import FIRST, PARTS


def test_the_corpus_holds_at_least_300_different_values() -> None:
    assert len({repr(one.value) for one in (*REFUSED, *KEPT)}) >= 300


@pytest.mark.parametrize("argument", sorted({one.argument for one in REFUSED}))
def test_a_hostile_value_is_refused_with_an_error_that_names_the_part(argument: str) -> None:
    taken = [one.value for one in REFUSED if one.argument == argument and not _refused(one)]

    assert taken == []


@pytest.mark.parametrize("argument", sorted({one.argument for one in KEPT}))
def test_an_odd_value_that_is_kept_reads_back_as_one_sender_and_one_recipient(
    argument: str,
) -> None:
    for one in KEPT:
        if one.argument == argument:
            _one_from_and_one_to(one)


def test_a_template_fills_in_no_hostile_address() -> None:
    template = MessageTemplate.of(PARTS, **FIRST)

    assert [a for a in ADDRESSES if template.fill(**(FIRST | {"recipient": a}))] == []


def test_a_template_writes_an_odd_but_lawful_address_as_the_slow_path_does() -> None:
    template = MessageTemplate.of(PARTS, **FIRST)

    for address in LAWFUL_ADDRESSES:
        filled = template.fill(**(FIRST | {"recipient": address}))
        assert (filled is None) is not address.isascii()
        if filled:
            assert old_parsed(filled).get_all("To") == [addr_spec("To", address)]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_template_fills_in_no_message_id_with_a_hidden_character(hidden: str) -> None:
    template = MessageTemplate.of(PARTS, **FIRST)

    for message_id in (f"<a{hidden}@b>", f"<a@b>{hidden}", f"<a@b{hidden}>"):
        assert template.fill(**(FIRST | {"message_id": message_id})) is None


def _refused(one: Hostile) -> bool:
    try:
        build(**{one.argument: one.value})
    except UnsafeMessage as problem:
        return bool(problem.part) and problem.part.startswith(one.part)
    return False


def _one_from_and_one_to(one: Hostile) -> None:
    changes: dict[str, Any] = {one.argument: one.value}
    built = build(**changes)
    lines_of(content_bytes(built))
    assert b"\r\n.\r\n" not in content_bytes(built)
    old = old_parsed(built)
    assert old.keys() == [*HEADERS, *MIME]
    to = addr_spec("To", str(changes.get("to_address", "ann@example.com")))
    assert wire_address(to) == to
    for header, address in (("From", "alerts@acme.example"), ("To", to)):
        (raw,) = [str(v) for name, v in old.raw_items() if name == header]
        unfolded = raw.encode("ascii", "surrogateescape").decode().replace("\r\n", "")
        assert [found for _, found in getaddresses([unfolded])] == [address]
        if address.isascii():
            assert [found.addr_spec for found in parsed(built)[header].addresses] == [address]
