"""Values that try to become another recipient, header, line or mail, generated from tables."""

from dataclasses import dataclass

EVIL = "Bcc: eve@evil.example"

C0 = [chr(code) for code in range(0x20)]
C1 = [chr(code) for code in range(0x7F, 0xA0)]  # DEL, and NEL among the others
SEPARATORS = ["\u2028", "\u2029", "\r\n", "\n\n", "\r\r", "\r\n\t", "\n ", "\r\n.\r\n"]
SURROGATES = ["\ud800", "\udbff", "\udc00", "\udc0a", "\udc0d", "\udfff", "\ud83d"]
DIRECTIONS = [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))]
HIDDEN = [*C0, *C1, *SEPARATORS, *SURROGATES, *DIRECTIONS]

_CHARSETS = ["utf-8", "UTF-8", "us-ascii", "iso-8859-1", "windows-1252", "utf-8*en", "utf-7"]
_SMUGGLED = ["=0A", "=0D", "=0D=0A", "=00", "=0B", "=1B", "=0ABcc:_eve=40evil.example"]
ENCODED = [
    *(f"=?{charset}?q?a{octets}b?=" for charset in _CHARSETS for octets in _SMUGGLED),
    "=?utf-8?b?YQpCY2M6IGV2ZUBldmlsLmV4YW1wbGU=?=",
    "=?utf-8?b?YQ0KLg0K?=",
    "=?utf-16be?b?AGEACgBi?=",
    "=?utf-8?q?=E2=80=A8?=",
    "=?utf-8?q?=E2=80=AE?=",
    "=?utf-8?q?=C2=85?=",
    "\U0001f600 =?utf-8?q?=0ABcc:_eve=40evil.example?=",
    "=?utf-8?q?ok?= =?utf-8?q?=0Abad?=",
    "=?utf-8?q?=3D=3Futf-8=3Fq=3F=3D0A=3F=3D?=",
]

_BREAKS = ["\n", "\r", "\r\n", "\x00", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\t", " "]
_CERTIFIED = ["ann@example.com", "ann@ex.example"]
ADDRESSES = [
    *(f"ann{mark}@example.com" for mark in (*_BREAKS, *SURROGATES, *DIRECTIONS)),
    *(f"ann@example.com{mark}" for mark in (*_BREAKS, *SURROGATES, *DIRECTIONS)),
    *(f"{mark}ann@example.com" for mark in _BREAKS),
    *(f"ann@example.com{mark}{EVIL}" for mark in _BREAKS),
    *(
        f"{one}{mark}eve@evil.example"
        for one in _CERTIFIED
        for mark in (",", ";", " ", ", ", ">,<")
    ),
    # quoted local parts, comments, source routes, groups, names, literals
    '"ann"@example.com',
    '"ann eve"@example.com',
    '"ann@evil.example"@example.com',
    '"ann\\"@evil.example"@example.com',
    '"ann>\r\nRCPT TO:<eve@evil.example"@example.com',
    '""@example.com',
    "ann(eve@evil.example)@example.com",
    "(eve@evil.example)ann@example.com",
    "ann@example.com(eve@evil.example)",
    "ann@(x)example.com",
    "@relay.example:ann@example.com",
    "<@relay.example:ann@example.com>",
    "@a.example,@b.example:ann@example.com",
    "friends: ann@example.com, eve@evil.example;",
    "undisclosed-recipients:;",
    "Ann <ann@example.com>",
    '"eve@evil.example" <ann@example.com>',
    "<ann@example.com>",
    "ann@example.com>",
    "ann@example.com> SIZE=1",
    "ann@evil.example@example.com",
    "ann@@example.com",
    "ann@[127.0.0.1]",
    "ann@[IPv6:::1]",
    "ann@[example.com]",
    "ann@127.0.0.1:25",
    "ann@example.com:25",
    "ann@example.com/eve",
    "ann\\@evil.example@example.com",
    "ann\\@example.com",
    # spelling of the domain: full width, ideographic stops, invisible letters, bad labels
    "ann@example\u3002com",
    "ann@example\uff0ecom",
    "ann@\uff45xample.com",
    "ann@exa\u200bmple.com",
    "ann@exa\u00admple.com",
    "ann@\u212aelvin.example",
    "ann@example..com",
    "ann@.example.com",
    "ann@example.com.",
    "ann@-example.com",
    "ann@example-.com",
    "ann@xn--.com.",
    "ann@",
    "@example.com",
    "ann",
    "@",
    # overlong
    "a" * 65 + "@example.com",
    "\u4e2d" * 22 + "@example.com",
    "ann@" + "a" * 64 + ".com",
    "ann@" + ".".join(["abcdefgh"] * 30),
    "a" * 10_000 + "@example.com",
    "ann@" + "a." * 5_000 + "com",
    # dots and encoded words
    ".ann@example.com",
    "ann.@example.com",
    "a..b@example.com",
    "=?utf-8?q?ann?=@example.com",
    "!=?^@example.com",
    "=?x?q?eve=40evil.example?=@example.com",
    "=?utf-8?q?ann=40evil.example=3E=00?=foo@example.com",
    "ann@=?utf-8?q?example?=.com",
]

# Odd, but each is one address and stays one: percent hack, bang path, homographs, subaddress.
LAWFUL_ADDRESSES = [
    "ann%evil.example@example.com",
    "evil.example!ann@example.com",
    "ann+eve=evil.example@example.com",
    "\u0430nn@example.com",
    "ann@ex\u0430mple.com",
    "\u7528\u6237@example.com",
    "!#$%&'*+-/=^?_`{|}~@example.com",
    "Bcc@example.com",
    "root@localhost",
    "-ann@example.com",
    "a" * 64 + "@example.com",
]

NAMES_AND_SUBJECTS = [
    EVIL,
    "eve@evil.example",
    "eve@evil.example,",
    ", eve@evil.example",
    "<eve@evil.example>",
    '"Eve" <eve@evil.example>',
    'Acme" <eve@evil.example>, "',
    "Acme> , <eve@evil.example",
    "Acme\\",
    'Acme\\" <eve@evil.example>',
    "Acme (eve@evil.example)",
    "Acme (unclosed",
    "friends: eve@evil.example;",
    "undisclosed:;",
    "\u4e2d\u6587, <eve@evil.example>",
    "\u0410cme",
    "A\u0301cme",
    "Acme\u200b",
    "Acme\u3000Cloud",
    "\\r\\nBcc: eve@evil.example",
    "%0d%0aBcc: eve@evil.example",
    "\u560d\u560aBcc: eve@evil.example",  # lower bytes are CR and LF
    "\u010a\u010dBcc: eve@evil.example",
    "=?utf-8?q?eve=40evil=2Eexample=2C?=",
    "=?utf-8?q?=22?= =?utf-8?q?=3Ceve=40evil.example=3E?=",
    "=?x?y?z?=",
    "?= =?",
    "=_boundary",
    ".",
    "..",
    "a;b,c:d",
    "x" * 400,
    "\u957f" * 150,
    "Doe, John " * 30 + "end",
]

HEADERS: list[dict[str, str]] = [
    *(
        {name: "eve@evil.example"}
        for name in (
            "Bcc", "bcc", "Cc", "To", "From", "from", "Sender", "Reply-To", "Return-Path",
            "Resent-To", "Resent-Bcc", "Disposition-Notification-To", "Errors-To", "Received",
            "Apparently-To", "X-Bcc",
        )
    ),
    *(
        {name: "x"}
        for name in (
            "Content-Type", "Content-Transfer-Encoding", "MIME-Version", "Subject", "Date",
            "Message-ID", "Auto-Submitted", "X-Mailer", "DKIM-Signature", "X-Gatepost",
            "X-Gatepost-", "X-Gatepost-A:", "X-Gatepost-A B", "X-Gatepost-\u00c4", "", " ", ":",
            "X-Gatepost-A\n", "X-Gatepost-A\r\nBcc", "X-Gatepost-A\nBcc", " X-Gatepost-A",
            "X-Gatepost-A\x00", "X-Gatepost-" + "a" * 31,
        )
    ),
    *({"X-Gatepost-A": f"a{mark}{EVIL}"} for mark in ("\n", "\r", "\r\n", "\r\n ", "\x00", "\x85")),
    {"X-Gatepost-A": "one", "x-gatepost-a": "two"},
    {"List-Unsubscribe": "https://portal.example/u"},
    {"List-Unsubscribe": "<https://portal.example/u>\r\n" + EVIL},
    {"List-Unsubscribe": "<javascript:alert(1)>"},
    {"List-Unsubscribe": "<https://portal.example/" + "a" * 1000 + ">"},
    {"List-Unsubscribe-Post": "List-Unsubscribe=Two-Click"},
]  # fmt: skip

# End-of-data and second mails in a body, in every spelling of a line end.
_ENDS = ["\r\n", "\n", "\r", "\n\r", "\r\r\n", "\n\n"]
BODIES = [
    *(f"a{one}.{two}MAIL FROM:<eve@evil.example>{two}" for one in _ENDS for two in _ENDS),
    *(f".{end}" for end in _ENDS),
    f"\r\n{EVIL}\r\n\r\nbody",
    "--=_" + "0" * 32 + "--\r\n",
    "Content-Type: text/html\r\n\r\n<b>x</b>",
    "=\r\n.\r\n",
    "=2E\r\n=0D=0A.=0D=0A",
    "..",
    "x" * 995 + "\r\n." + "y" * 2000,
    "\u4e2d" * 400 + "\n.\n",
    "\u2028.\u2028",
    "From eve\n",
]


@dataclass(frozen=True)
class Hostile:
    """One value for one argument of the builder, which refuses it, naming `part`."""

    argument: str
    part: str
    value: object


REFUSED = [
    *(Hostile("subject", "Subject", f"a{mark}{EVIL}") for mark in HIDDEN),
    *(Hostile("from_name", "From", f"a{mark}{EVIL}") for mark in HIDDEN),
    *(Hostile("subject", "Subject", word) for word in ENCODED),
    *(Hostile("from_name", "From", word) for word in ENCODED),
    *(Hostile("to_address", "To", address) for address in ADDRESSES),
    *(Hostile("from_address", "From", address) for address in ADDRESSES),
    *(Hostile("reply_to", "Reply-To", address) for address in ADDRESSES),
    *(Hostile("extra_headers", "", headers) for headers in HEADERS),
]
KEPT = [
    *(Hostile("subject", "Subject", value) for value in NAMES_AND_SUBJECTS),
    *(Hostile("from_name", "From", value) for value in NAMES_AND_SUBJECTS),
    *(Hostile("to_address", "To", value) for value in LAWFUL_ADDRESSES),
    *(Hostile("text", "plain", value) for value in BODIES),
    *(Hostile("html", "html", value) for value in BODIES),
]
