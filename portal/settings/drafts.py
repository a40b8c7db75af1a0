"""Secrets that were typed and not saved yet. One belongs to one sign-in session, scope and form.

They survive a page that comes back with errors or a test report, for 15 minutes. A stored secret
is never copied here, and what lies here is never written into a page.
"""

import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from portal import keys
from portal.clock import utcnow
from portal.extensions import db
from portal.settings.models import SecretDraft
from portal.settings.scope import Scope

LASTS = timedelta(minutes=15)


@dataclass(frozen=True)
class DraftKey:
    """Whose draft it is: `form` names one opened form, not a kind of form."""

    session_id: uuid.UUID
    scope: Scope
    form: uuid.UUID

    @property
    def columns(self) -> dict[str, str]:
        return {
            "session_id": str(self.session_id),
            "scope": self.scope.key,
            "form": str(self.form),
        }

    @property
    def context(self) -> tuple[str, ...]:
        """What the vault binds the sealed secret to."""
        return ("secret draft", *self.columns.values())


def keep(key: DraftKey, secret: str) -> None:
    """Keep a typed secret in place of an earlier one of this form; forget what is out of date."""
    drop(key)
    db.session.execute(delete(SecretDraft).where(SecretDraft.expires_at <= utcnow()))
    sealed = keys.vault().seal(secret, context=key.context)
    try:
        with db.session.begin_nested():
            db.session.add(SecretDraft(**key.columns, sealed=sealed, expires_at=utcnow() + LASTS))
    except IntegrityError:
        pass  # the same form was sent twice at this moment; its twin kept the secret


def typed(key: DraftKey) -> str | None:
    """The secret that was typed in this form, or None."""
    sealed = db.session.scalar(
        select(SecretDraft.sealed).filter_by(**key.columns).where(SecretDraft.expires_at > utcnow())
    )
    return keys.vault().open(sealed, context=key.context) if sealed else None


def drop(key: DraftKey) -> None:
    """Forget it: the form was saved or cancelled."""
    db.session.execute(delete(SecretDraft).filter_by(**key.columns))
