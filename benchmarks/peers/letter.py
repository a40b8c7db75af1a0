"""The letter that every peer sends, as large as the portal's: text and HTML, rendered each time."""

import argparse
import time
from email.message import EmailMessage

from jinja2 import Environment

_TEXT = "{{ person }}, disk full on db-3.\n\n" + "Nothing can be written since 08:00. " * 10
_templates = Environment(autoescape=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--mails", type=int, required=True)
    parser.add_argument("--size", type=int, required=True, help="bytes of a whole mail")
    parser.add_argument("--processes", type=int, default=1)
    return parser.parse_args()


def html_source(size: int) -> str:
    row = '<tr><td style="padding:8px">{{ person }}: nothing can be written since 08:00</td></tr>\n'
    return f"<html><body><table>{row * max(1, (size - 900) // 92)}</table></body></html>"


def recipient(number: int) -> str:
    return f"person{number}@x.test"


class Letter:
    def __init__(self, size: int) -> None:
        self._text = _templates.from_string(_TEXT)
        self._html = _templates.from_string(html_source(size))

    def text(self, number: int) -> str:
        return self._text.render(person=f"Person {number}")

    def html(self, number: int) -> str:
        return self._html.render(person=f"Person {number}")

    def message(self, number: int) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"] = "alerts@globex.test", recipient(number)
        message["Subject"] = "[critical] Disk full on db-3"
        message.set_content(self.text(number))
        message.add_alternative(self.html(number), subtype="html")
        return message


def tell(mails: int, start: float) -> None:
    """The one line that the benchmark reads: mails a second."""
    print(mails / (time.monotonic() - start))  # noqa: T201
