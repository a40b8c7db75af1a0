import email.policy
from email.utils import getaddresses

import pytest

from portal.smtp.message import UnsafeMessage
from tests.portal.smtp.mails import HEADERS, MIME, build, decoded, lines_of, old_parsed, parsed


@pytest.mark.parametrize(
    "headers",
    [
        {"Bcc": "eve@evil.example"},
        {"From": "eve@evil.example"},
        {"from": "eve@evil.example"},
        {"Sender": "eve@evil.example"},
        {"Cc": "eve@evil.example"},
        {"Auto-Submitted": "no"},
        {"Content-Type": "text/html"},
        {"X-Mailer": "x"},
        {"X-Gatepost": "x"},
        {"X-Gatepost-": "x"},
        {"X-Gatepost-A\nBcc": "eve@evil.example"},
        {"X-Gatepost-A\r\nBcc": "eve@evil.example"},
        {"X-Gatepost-A:": "x"},
        {"X-Gatepost-A B": "x"},
        {"X-Gatepost-Ä": "x"},
        {"": "x"},
        {"X-Gatepost-A": "a\nBcc: eve@evil.example"},
        {"X-Gatepost-A": "a\r\n\r\nbody"},
        {"X-Gatepost-A": "=?utf-8?q?a=0ABcc:_eve=40evil.example?="},
        {"X-Gatepost-A": "one", "x-gatepost-a": "two"},
        {"List-Unsubscribe": "https://portal.example/u"},
        {"List-Unsubscribe": "<https://portal.example/u>\r\nBcc: eve@evil.example"},
        {"List-Unsubscribe": "<javascript:alert(1)>"},
        {"List-Unsubscribe": "<https://portal.example/a b>"},
        {"List-Unsubscribe": "<https://portal.example/ü>"},
        {"List-Unsubscribe": "<https://portal.example/=?utf-8?q?=0A?=>"},
        {"List-Unsubscribe": "<https://portal.example/" + "a" * 1000 + ">"},
        {"List-Unsubscribe": ""},
        {"List-Unsubscribe-Post": "List-Unsubscribe=Two-Click"},
    ],
)
def test_a_header_outside_of_the_list_or_with_a_hostile_value_is_refused(
    headers: dict[str, str],
) -> None:
    with pytest.raises(UnsafeMessage):
        build(extra_headers=headers)


LINE_BREAKS = [
    "\n", "\r", "\r\n", "\n ", "\r\n\t", "\n\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e",
    "\x85", "\u2028", "\u2029",
]  # fmt: skip
HIDDEN = [
    *LINE_BREAKS, "\x00", "\x01", "\x07", "\x08", "\t", "\x1b", "\x1f", "\x7f", "\x80", "\x9b",
    "\ud800", "\udc0a", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2069",
]  # fmt: skip
ENCODED_BREAKS = [
    "=?utf-8?q?a=0ABcc:_eve=40evil.example?=",
    "=?utf-8?q?a=0D=0ABcc:_eve=40evil.example?=",
    "=?utf-8?q?a=0Dx?=",
    "=?utf-8?q?a=00x?=",
    "=?UTF-8?Q?a=0abcc?=",
    "=?utf-8?b?YQpCY2M6IGV2ZUBldmlsLmV4YW1wbGU=?=",
    "=?utf-8?b?YQ0KQmNjOiBldmVAZXZpbC5leGFtcGxl?=",
    "=?us-ascii?q?a=0Ab?=",
    "=?iso-8859-1?q?a=0Ab?=",
    "=?iso-8859-1?q?a=85b?=",
    "=?utf-16be?b?AGEACgBi?=",
    "=?utf-8*en?q?a=0Ab?=",
    "=?utf-8?q?=E2=80=A8?=",
    "=?utf-8?q?=E2=80=AE?=",
    "\U0001f600 =?utf-8?q?=0ABcc:_eve=40evil.example?=",
    "\U0001f600=?utf-8?q?=0ABcc:_eve=40evil.example?= x",
    "中文=?utf-8?q?=0A?=",
    "=?utf-8?q?ok?= =?utf-8?q?=0Abad?=",
    "=?utf-8?q?a b=0Ac?=",
    "=?utf-8?q?=3D=3Futf-8=3Fq=3F=3D0A=3F=3D?=",
    "=?utf-8?b?PT91dGYtOD9xP2E9MEFiPz0=?=",
]


@pytest.mark.parametrize("field", ["subject", "from_name"])
@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_hidden_character_in_a_header_is_refused(field: str, hidden: str) -> None:
    for value in (f"a{hidden}Bcc: eve@evil.example", f"{hidden}a", f"a{hidden}"):
        with pytest.raises(UnsafeMessage):
            build(**{field: value})


@pytest.mark.parametrize("field", ["subject", "from_name"])
@pytest.mark.parametrize("value", ENCODED_BREAKS)
def test_an_encoded_word_that_decodes_to_a_hidden_character_is_refused(
    field: str, value: str
) -> None:
    with pytest.raises(UnsafeMessage):
        build(**{field: value})


HOSTILE_ADDRESSES = [
    "",
    "ann",
    "@example.com",
    "ann@",
    "ann@@example.com",
    "ann@evil@example.com",
    "ann @example.com",
    "ann@ example.com",
    " ann@example.com",
    "ann@example.com ",
    "ann@example.com\n",
    "ann@example.com\r\nBcc: eve@evil.example",
    "ann\r\n@example.com",
    "ann\x00@example.com",
    "ann@exam\x00ple.com",
    "ann\t@example.com",
    "ann@example.com\t",
    "ann\u2028@example.com",
    "ann\u00a0@example.com",
    "ann\u202e@example.com",
    "ann\ud800@example.com",
    "ann@example.com, eve@evil.example",
    "ann@example.com,eve@evil.example",
    "ann@example.com;eve@evil.example",
    "ann@example.com eve@evil.example",
    "ann,eve@example.com",
    "ann;eve@example.com",
    "ann:eve@example.com",
    "group:ann@example.com;",
    "<ann@example.com>",
    "ann@example.com>",
    "Ann <ann@example.com>",
    "ann@example.com> ,<eve@evil.example",
    '"ann"@example.com',
    '"ann eve"@example.com',
    '"ann@evil.example"@example.com',
    '"<eve@evil.example>"@example.com',
    'ann"@example.com',
    "ann\\@example.com",
    "ann(eve)@example.com",
    "(eve)ann@example.com",
    "ann@example.com (eve)",
    "ann@(eve)example.com",
    "ann@[127.0.0.1]",
    "ann@[IPv6:::1]",
    "ann[1]@example.com",
    ".ann@example.com",
    "ann.@example.com",
    "ann..b@example.com",
    "ann@.example.com",
    "ann@example..com",
    "ann@example.com.",
    "ann@-example.com",
    "ann@example-.com",
    "ann@exam ple.com",
    "ann@exam,ple.com",
    "ann@exam=ple.com",
    "ann@example.com=0A",
    "ann@example\u3002com",
    "ann@example\uff0ecom",
    "ann@\uff45xample.com",
    "ann@exa\u200bmple.com",
    "ann@" + "a" * 64 + ".com",
    "ann@" + ".".join(["abcdefgh"] * 30),
    "a" * 65 + "@example.com",
    "中" * 22 + "@example.com",
    "=?utf-8?q?ann?=@example.com",
    "=?x?q?eve=40evil.example?=@example.com",
    "=?utf-8?q?ann=40evil.example=3E=00?=foo@example.com",
    "ann@=?utf-8?q?example?=.com",
    "ann%evil.example\n@example.com",
    "<eve@evil.example>ann@example.com",
    "ann@evil.example<@example.com",
]


@pytest.mark.parametrize("field", ["to_address", "from_address", "reply_to"])
@pytest.mark.parametrize("address", [address for address in HOSTILE_ADDRESSES if address])
def test_an_odd_address_is_refused(field: str, address: str) -> None:
    with pytest.raises(UnsafeMessage):
        build(**{field: address})


@pytest.mark.parametrize("field", ["to_address", "from_address"])
def test_a_missing_address_is_refused(field: str) -> None:
    with pytest.raises(UnsafeMessage):
        build(**{field: ""})


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("ann@example.com", "ann@example.com"),
        ("Ann.Lee@Example.COM", "Ann.Lee@example.com"),
        ("a#b&c+d@example.com", "a#b&c+d@example.com"),
        ("!#$%&'*+-/=^_`{|}~@example.com", "!#$%&'*+-/=^_`{|}~@example.com"),
        ("root@localhost", "root@localhost"),
        ("ops@relay.acme.local", "ops@relay.acme.local"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@例子.测试", "ann@xn--fsqu00a.xn--0zwm56d"),
        ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
        ("用户@example.com", "用户@example.com"),
        ("jürgen@bücher.example", "jürgen@xn--bcher-kva.example"),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
    ],
)
def test_an_address_is_written_with_its_domain_in_ascii(address: str, written: str) -> None:
    built = build(to_address=address, from_address=address, reply_to=address)

    assert f"\r\nTo: {written}\r\n" in built.decode()
    assert f"<{written}>\r\n" in built.decode()
    assert f"\r\nReply-To: {written}\r\n" in built.decode()


NAMES = [
    "Acme",
    "Acme Cloud",
    "Acme (via Platform)",
    "Acme, Inc.",
    "Doe, John",
    "Doe, John; eve@evil.example",
    'Acme "Cloud" Ltd.',
    '"',
    '""',
    '"Acme',
    "\\",
    'a\\"b',
    'a\\',
    "O'Brien & Sons",
    "R&D / Ops: alerts",
    "ceo@bank.example",
    "ceo@bank.example> ,",
    "ceo@bank.example>, <eve@evil.example",
    '"ceo" <ceo@bank.example>',
    "<ceo@bank.example>",
    "eve@evil.example,",
    ", eve@evil.example",
    "Acme; eve@evil.example",
    "undisclosed:;",
    "(comment) Acme",
    "Acme (unclosed",
    "Acme )",
    "[Acme]",
    "a.b.c",
    ".",
    "Acme: Alerts",
    "what =?",
    "=?utf-8?q?hello?=",
    "=?utf-8?q?eve=40evil=2Eexample=2C?=",
    "=?utf-8?q?=22?= =?utf-8?q?=3Ceve=40evil.example=3E?=",
    "=?x?y?z?=",
    "?= =?",
    "阿克梅云",
    "阿克梅，云",
    "中文, \"name\" <eve@evil.example>",
    "中文 (通过 平台)",
    "Ünïcödé, Inc.",
    "Émile <eve@evil.example>,",
    "🚨 Alerts 🚨",
    "👩‍👩‍👧 family",
    "Acme  two blanks",
    "Doe, John " * 20 + "end",
    "very long plain name " * 15 + "end",
    "长" * 150,
    "x" * 300,
    "a\u0301 combining",
    "\u200bzero width",
    "Acme\u3000Cloud",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_display_name_never_becomes_an_address(name: str) -> None:
    built = build(from_name=name)

    lines_of(built)
    old = old_parsed(built)
    raw = str(old["From"]).replace("\r\n", "")
    assert [address for _, address in getaddresses([raw])] == ["alerts@acme.example"]
    assert decoded(getaddresses([raw])[0][0]) == name.strip()
    (new,) = parsed(built)["From"].addresses
    assert new.addr_spec == "alerts@acme.example"
    assert new.display_name.replace(" ", "") == name.replace(" ", "")
    assert old.keys() == [*HEADERS, *MIME]


@pytest.mark.parametrize("name", ["Doe, John " * 20, 'Acme, "Cloud" ' * 12, "中文, 云 " * 20])
def test_a_long_display_name_with_commas_survives_being_written_again(name: str) -> None:
    # Python's own refolding drops the quotes of a long name, and one address becomes two.
    again = parsed(build(from_name=name)).as_bytes(policy=email.policy.SMTP)

    assert b"alerts@acme.example" in again
    (address,) = parsed(build(from_name=name))["From"].addresses
    assert address.addr_spec == "alerts@acme.example"
    raw = build(from_name=name).decode().split("\r\nTo:")[0].replace("\r\n", "")
    assert len(getaddresses([raw.removeprefix("From: ")])) == 1


def test_a_display_name_beyond_all_measure_is_refused() -> None:
    with pytest.raises(UnsafeMessage):
        build(from_name="a" * 451)


def test_the_corpus_is_large_enough() -> None:
    corpus = {*HIDDEN, *ENCODED_BREAKS, *HOSTILE_ADDRESSES, *NAMES}
    assert len(corpus) >= 120
