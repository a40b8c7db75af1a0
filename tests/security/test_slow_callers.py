"""A body that comes slowly keeps nobody else from the database."""

import io
from typing import Any

from flask import Flask

from portal.extensions import db
from tests.browser import Browser
from tests.cast import Cast


class Watched(io.BytesIO):
    """A body; notes how many connections to the database are in use while it is waited for."""

    def __init__(self, app: Flask, body: bytes) -> None:
        super().__init__(body)
        self.in_use: list[int] = []
        self._app = app

    def readinto(self, buffer: Any, /) -> int:
        with self._app.app_context():
            self.in_use.append(db.engine.pool.checkedout())  # type: ignore[attr-defined]
        return super().readinto(buffer)


def test_no_transaction_is_open_while_the_body_of_a_form_is_waited_for(
    app: Flask, cast: Cast, visit: Browser
) -> None:
    page = visit.sign_in(cast.alice)
    token = page.form("Sign out").data["csrf_token"]
    body = Watched(app, f"csrf_token={token}".encode())
    answer = visit.client.post(
        "/sign-out",
        input_stream=body,
        content_length=len(body.getvalue()),
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status_code == 303
    assert body.in_use
    assert set(body.in_use) == {0}
