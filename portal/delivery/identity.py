"""As whom a letter is written: the effective settings as the letters want them."""

from dataclasses import replace
from typing import cast

from flask import current_app

from portal.identity.models import Organization
from portal.kinds import Kind
from portal.letters import logo
from portal.letters.colours import PETROL
from portal.letters.compose import Identity
from portal.letters.words import Language
from portal.settings import effective, logos
from portal.settings.images import Image
from portal.settings.mail_rules import LANGUAGES
from portal.settings.scope import Scope
from portal.smtp.body import InlineImage


def of(organization: Organization | None, kind: Kind) -> Identity:
    """The identity of the organization; of the host for its own and for security mail.

    Security mail goes to strangers in the host's good name: nothing that an organization may write
    itself stands in it.
    """
    owner = None if kind.is_security else organization
    values = effective.identity(owner)
    platform = effective.platform_name()
    return Identity(
        platform_name=platform,
        display_name=values["display_name"].value or (owner.name if owner else platform),
        title_prefix=values["title_prefix"].value or "",
        footer=values["footer"].value or "",
        accent=values["accent_color"].value or PETROL,
        logo=Image.named(name) if (name := values["logo"].value) else None,
        base_url=current_app.extensions["config"].base_url,
        organization_name=owner.name if owner else None,
    )


def with_images(
    organization: Organization | None, kind: Kind
) -> tuple[Identity, tuple[InlineImage, ...]]:
    """The identity, and the images that a mail written as it has to carry."""
    scope = Scope.of(None if kind.is_security else organization)
    return and_images(of(organization, kind), scope)


def and_images(found: Identity, scope: Scope) -> tuple[Identity, tuple[InlineImage, ...]]:
    """The identity of that scope again, with the images of the mail."""
    if found.logo is None:
        return found, ()
    content = logos.content_of(scope, found.logo)
    if content is None:  # replaced at this moment
        return replace(found, logo=None), ()
    return found, (InlineImage(logo.content_id(found.logo), found.logo.format.value, content),)


def language(organization: Organization | None, own: str | None) -> str:
    """The recipient's language, else the organization's, else the host's."""
    if own in LANGUAGES:
        return str(own)
    return str(effective.identity(organization)["language"].value)


def known(value: str) -> Language:
    """The language as the letters' type; English for one that they do not speak."""
    return cast(Language, value) if value in LANGUAGES else "en"
