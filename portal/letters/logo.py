"""The logo in a letter: an image that the mail itself carries and the HTML names by Content-ID
(RFC 2392), so that no reader has to fetch anything."""

import base64

from portal.settings.images import Image

# In the pixels of a page; a larger image is drawn smaller, which keeps it sharp on fine screens.
_WIDEST, _HIGHEST = 220, 48


def content_id(image: Image) -> str:
    """Its Content-ID without angle brackets: equal images have equal ones."""
    return f"logo.{image.sha256[:32]}@gatepost"


def shown_size(image: Image) -> tuple[int, int]:
    """Width and height at which it is drawn."""
    scale = min(1.0, _WIDEST / image.width, _HIGHEST / image.height)
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def in_page(html: str, image: Image, content: bytes) -> str:
    """The letter's HTML for a page, where there is no mail to take the image from."""
    data = base64.b64encode(content).decode("ascii")
    return html.replace(
        f'src="cid:{content_id(image)}"', f'src="data:{image.format.media_type};base64,{data}"', 1
    )
