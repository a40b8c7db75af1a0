"""The changes of a sender that a report offers for one click: only what is whole and certain."""

from dataclasses import replace

from flask_babel import lazy_gettext as _

from portal.settings import providers
from portal.settings.providers import Provider
from portal.smtp.rules import Repair


def whole(offered: tuple[Repair, ...], *, server: str) -> tuple[Repair, ...]:
    """Each repair with every value that it sets. A preset that is not known for the address, that
    has a part to be replaced first, or that is what failed at `server`, is not offered."""
    found = (_with_preset(repair, server) if repair.preset_for else repair for repair in offered)
    return tuple(repair for repair in found if repair is not None)


def _with_preset(repair: Repair, server: str) -> Repair | None:
    preset = providers.suggest(repair.preset_for or "")
    if not isinstance(preset, Provider) or preset.placeholder or preset.server == server.lower():
        return None
    return replace(
        repair,
        label=_("Use the preset of %(provider)s", provider=preset.name),
        server=preset.server,
        port=preset.port,
        encryption=preset.encryption,
    )
