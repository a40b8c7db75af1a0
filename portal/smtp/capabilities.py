"""What a server says that it can do (RFC 5321, 4.1.1.1), and what a login can make of it."""

from dataclasses import dataclass

from portal.smtp.replies import Reply


@dataclass(frozen=True)
class Capabilities:
    """The answer to EHLO. `size` is in bytes, None where no limit was announced; `auth` holds
    upper-case mechanism names; `lines` is the answer as it came, to show."""

    lines: tuple[str, ...] = ()
    pipelining: bool = False
    starttls: bool = False
    eight_bit: bool = False
    smtputf8: bool = False
    size: int | None = None
    announces_size: bool = False
    auth: tuple[str, ...] = ()


def capabilities_of(reply: Reply) -> Capabilities:
    """Reads an EHLO reply; its first line is the server's name. Unknown keywords are kept to show.

    `AUTH=LOGIN`, the form of old Microsoft servers, counts as `AUTH LOGIN`.
    """
    keywords: dict[str, list[str]] = {}
    for line in reply.lines[1:]:
        keyword, *values = line.upper().replace("AUTH=", "AUTH ", 1).split() or [""]
        keywords.setdefault(keyword, []).extend(values)
    return Capabilities(
        lines=reply.lines,
        pipelining="PIPELINING" in keywords,
        starttls="STARTTLS" in keywords,
        eight_bit="8BITMIME" in keywords,
        smtputf8="SMTPUTF8" in keywords,
        size=_size(keywords.get("SIZE", [])),
        announces_size="SIZE" in keywords,
        auth=tuple(dict.fromkeys(keywords.get("AUTH", []))),
    )


def _size(values: list[str]) -> int | None:
    # RFC 1870: zero, or no number, means that no fixed limit is in force.
    value = values[0] if values else ""
    return (int(value) or None) if value.isascii() and value.isdigit() and len(value) < 20 else None
