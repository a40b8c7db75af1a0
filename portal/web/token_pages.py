"""What the pages of API tokens have in common, at the host and in an organization."""

from dataclasses import dataclass
from datetime import timedelta

from flask_babel import gettext as _
from flask_wtf import FlaskForm

from portal.audit.log import Actor
from portal.clock import utcnow
from portal.identity import names, tokens
from portal.identity.forms import ApiTokenForm
from portal.identity.models import ApiToken, Organization
from portal.web.words import Chip


class RevokeForm(FlaskForm):
    """A form of one button."""


@dataclass(frozen=True)
class TokenRow:
    """A token as its list shows it."""

    token: ApiToken
    created_by: str
    is_usable: bool
    chip: Chip


def rows(found: list[ApiToken]) -> list[TokenRow]:
    """Tokens that open something first."""
    people = names.of_users(token.created_by for token in found)
    made = [
        TokenRow(
            token, people.get(token.created_by or "", ""), tokens.is_usable(token), _chip(token)
        )
        for token in found
    ]
    return sorted(made, key=lambda row: not row.is_usable)


def create(
    organization: Organization | None, form: ApiTokenForm, actor: Actor
) -> tuple[ApiToken, str]:
    """The token that a valid form asks for, and its secret. Raises Invalid."""
    lifetime = form.lifetime.data
    expires_at = None if lifetime == "never" else utcnow() + timedelta(days=int(lifetime))
    return tokens.create(
        organization,
        name=form.name.data,
        scopes=form.scopes.data,
        actor=actor,
        expires_at=expires_at,
    )


def _chip(token: ApiToken) -> Chip:
    if token.revoked_at is not None:
        return Chip("off", "ban", _("Revoked"))
    if not tokens.is_usable(token):
        return Chip("off", "clock", _("Expired"))
    return Chip("ok", "check", _("Active"))
