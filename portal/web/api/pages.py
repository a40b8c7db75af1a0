"""Lists come in pages: `limit` and `after` in, `next` out."""

import uuid
from typing import Annotated

from pydantic import Field

from portal.web.api.inputs import Input


class PageQuery(Input):
    """`after` is what the page before gave as `next`."""

    limit: Annotated[int, Field(ge=1, le=200, strict=False)] = 50
    after: Annotated[uuid.UUID | None, Field(strict=False)] = None


def cursor(next_id: uuid.UUID | None) -> str | None:
    """The value of `next`."""
    return None if next_id is None else str(next_id)
