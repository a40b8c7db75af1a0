"""What pages about the host's senders ask before a change: who uses them, and whether this one."""

from portal.settings import effective
from portal.settings.models import Sender
from portal.settings.overview import Use
from portal.settings.scope import HOST
from portal.web import settings_pages
from portal.web.blueprints import host as blueprint


@blueprint.app_template_global()
def host_uses() -> dict[str, list[Use]]:
    """Organizations by how they stand to the host's senders; asked only where it is shown."""
    return settings_pages.uses()


@blueprint.app_template_global()
def is_used_by_organizations(sender: Sender | None) -> bool:
    """Whether mail of organizations leaves by this sender of the host: it is the default, or
    carries kinds before it."""
    if sender is None or sender.organization_id is not None:
        return False
    return bool(sender.kinds) or effective.settings_of(HOST).default_sender_id == sender.id
