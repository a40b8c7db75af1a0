"""URL converters: every variable part of a path has a type."""

from flask import Flask
from werkzeug.routing import BaseConverter


class SlugConverter(BaseConverter):
    """An organization's slug."""

    regex = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"


class TokenConverter(BaseConverter):
    """A bearer secret in a link."""

    regex = r"[A-Za-z0-9_-]{20,200}"


class NameConverter(BaseConverter):
    """A sender's name: anything without a slash."""

    regex = r"[^/]{1,100}"


def register(app: Flask) -> None:
    app.url_map.converters.update(slug=SlugConverter, token=TokenConverter, name=NameConverter)
