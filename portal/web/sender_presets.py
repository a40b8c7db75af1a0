"""Mail providers in the form of a sender: what one fills in, and what the page says of it."""

from flask import current_app
from flask_babel import gettext as _

from portal.config import Config
from portal.settings import effective, providers
from portal.settings.forms import SenderForm
from portal.settings.providers import Guess, Provider
from portal.smtp.values import Authentication, Encryption
from portal.web.mail_catchers import MailCatcher


def fill(form: SenderForm) -> str:
    """Put the chosen provider's values into the form, or those that the From address suggests;
    what else was typed stays. Returns what to say."""
    chosen = providers.by_key(form.provider.data or "")
    found = chosen or providers.suggest(form.from_address.data or "")
    if isinstance(found, Guess):
        return _guess(form, found)
    for key, value in found.fills().items():
        form[key].data = str(value)
    _fill_sign_in(form, found)
    form.provider.data = found.key
    said = _("Filled in for %(provider)s, not saved yet.", provider=found.name)
    if found.placeholder:
        said += " " + _("Replace %(part)s in the server.", part=found.placeholder)
    return said


def fill_catcher(form: SenderForm, catcher: MailCatcher) -> str:
    """Put in what a mail catcher needs; it takes every address. Returns what to say."""
    config: Config = current_app.extensions["config"]
    values = {
        "name": "mail-catcher",
        "from_address": f"portal@{config.base_host if _is_name(config.base_host) else 'localhost'}",
        "display_name": effective.platform_name(),
        "server": catcher.host,
        "port": str(catcher.port),
        "encryption": Encryption.NONE.value,
        "authentication": Authentication.NONE.value,
    }
    for key, value in values.items():
        form[key].data = value
    return _(
        "Filled in for the mail catcher at %(place)s (%(name)s), not saved yet. It keeps every "
        "mail on this machine; nothing leaves it.",
        name=catcher.name,
        place=catcher.place,
    )


def chosen(form: SenderForm) -> Provider | None:
    """The provider to explain: the chosen one, else that of the server."""
    return providers.by_key(form.provider.data or "") or providers.of_server(form.server.data or "")


def _guess(form: SenderForm, guess: Guess) -> str:
    if not guess.server:
        return _("Choose a provider, or enter the From address first.")
    form.server.data = guess.server
    form.port.data = str(guess.port)
    form.encryption.data = guess.encryption.value
    return _(
        "%(server)s is a guess by the address; ask whoever runs the mail.", server=guess.server
    )


def _is_name(host: str) -> bool:
    return ":" not in host and not host.rpartition(".")[2].isdigit()


def _fill_sign_in(form: SenderForm, provider: Provider) -> None:
    """The provider's way to sign in, where the chosen one does not work there."""
    known = (provider.authentication, *provider.also)
    if form.authentication.data not in known:
        form.authentication.data = known[0].value
    if not Authentication(form.authentication.data).is_oauth2:
        return
    if not form.token_url.data:
        form.token_url.data = provider.token_url
    if not form.scope.data:
        form.scope.data = provider.scope
