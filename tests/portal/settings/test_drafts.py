"""A typed secret waits sealed, for one session, scope and form, for 15 minutes."""

import dataclasses
import uuid
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from portal import clock
from portal.extensions import db
from portal.settings import drafts
from portal.settings.drafts import DraftKey
from portal.settings.models import SecretDraft
from portal.settings.scope import HOST, Scope
from portal.vault import VaultError

SECRET = "  four unrelated words  "


def a_key() -> DraftKey:
    return DraftKey(uuid.uuid4(), HOST, uuid.uuid4())


def count() -> int:
    return db.session.scalar(select(func.count()).select_from(SecretDraft)) or 0


def test_what_was_typed_comes_back_with_its_white_space(session: Any) -> None:
    key = a_key()
    drafts.keep(key, SECRET)
    assert drafts.typed(key) == SECRET


def test_a_later_one_takes_the_place_of_an_earlier_one(session: Any) -> None:
    key = a_key()
    drafts.keep(key, "first")
    drafts.keep(key, SECRET)
    assert drafts.typed(key) == SECRET
    assert count() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"session_id": uuid.uuid4()},
        {"scope": Scope(uuid.uuid4())},
        {"form": uuid.uuid4()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_nobody_else_gets_it(session: Any, other: dict[str, Any]) -> None:
    key = a_key()
    drafts.keep(key, SECRET)
    assert drafts.typed(dataclasses.replace(key, **other)) is None


def test_a_sealed_draft_that_was_moved_does_not_open(session: Any) -> None:
    mine, theirs = a_key(), a_key()
    drafts.keep(mine, SECRET)
    drafts.keep(theirs, "other")
    rows = {row.form: row for row in db.session.scalars(select(SecretDraft))}
    rows[str(theirs.form)].sealed = rows[str(mine.form)].sealed
    db.session.flush()
    with pytest.raises(VaultError):
        drafts.typed(theirs)


def test_it_is_gone_after_15_minutes(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    key, now = a_key(), clock.utcnow()
    drafts.keep(key, SECRET)
    monkeypatch.setattr(drafts, "utcnow", lambda: now + timedelta(minutes=16))
    assert drafts.typed(key) is None
    drafts.keep(a_key(), "other")
    assert count() == 1


def test_cancel_deletes_it_and_the_table_never_holds_it_in_clear(session: Any) -> None:
    key = a_key()
    drafts.keep(key, SECRET)
    (row,) = db.session.scalars(select(SecretDraft))
    assert SECRET.strip() not in row.sealed
    drafts.drop(key)
    assert drafts.typed(key) is None
    assert count() == 0
