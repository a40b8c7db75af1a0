"""Names, addresses and message content in the form in which they go over the wire."""

import re

import idna

from portal.smtp.values import Bundle

# A path that could smuggle a parameter or a command is never written (RFC 5321, 4.1.2).
_PATH = re.compile(
    r"""(?:"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"|[^\s<>"\x00-\x1f\x7f-\x9f]+)"""
    r"""@[^\s<>"@\x00-\x1f\x7f-\x9f]+"""
)
_HOST_NAME = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]+\]|\[IPv6:[0-9A-Fa-f:.]+\]"
)


def content_bytes(content: bytes) -> bytes:
    """The message with CRLF line ends and dots stuffed (RFC 5321, 4.5.2), without the final dot.

    A lone CR or LF becomes a line end of its own, so that no server can read an end of data, or
    a second message, into the content.
    """
    ends = content.count(b"\r\n")
    if content.count(b"\n") != ends or content.count(b"\r") != ends:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..")


def wire_address(address: str) -> str | None:
    """The address to put between angle brackets; None where it cannot be written safely.

    The domain in its ASCII form (IDNA 2008) where the local part is ASCII; otherwise unchanged,
    and the server must offer SMTPUTF8 (RFC 6531).
    """
    if not _PATH.fullmatch(address):
        return None
    local, domain = address.rsplit("@", 1)
    if domain.isascii() or not local.isascii():
        return address
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return address


def client_name(bundle: Bundle) -> str:
    """The name for EHLO: set, else the domain of the From address, else an address literal."""
    for name in (bundle.ehlo_name, bundle.from_address.rpartition("@")[2]):
        if name and _HOST_NAME.fullmatch(name):
            return name
    return "[127.0.0.1]"
