"""The secrets of the form of a sender: what was typed, what is kept while the page comes back.

Each field has a draft of its own, so that a password is never taken for a client's secret.
"""

import dataclasses
import uuid
from collections.abc import Iterator

from portal.settings import drafts
from portal.settings.drafts import DraftKey
from portal.settings.forms import SECRET_FIELDS, SenderForm
from portal.settings.oauth2_rules import SECRET_KEY
from portal.settings.senders import Clear, Keep, Replace, SecretChange
from portal.smtp.values import Authentication


def change_of(form: SenderForm, key: DraftKey) -> SecretChange:
    """What the form says; Clear, which a login refuses, where none came."""
    authentication = _authentication(form)
    if authentication is Authentication.NONE:
        return Clear()
    if authentication is Authentication.PASSWORD:
        return _password(form, key)
    name = SECRET_KEY[authentication]
    by_refresh = authentication is Authentication.OAUTH2_REFRESH_TOKEN
    secret = _typed_or_kept(form, key, name)
    token = _typed_or_kept(form, key, "refresh_token") if by_refresh else None
    if secret is None and token is None:
        return Keep()
    return Replace(secret, token, given_as=name if secret else None)


def keep(form: SenderForm, key: DraftKey) -> None:
    """Keep what was just typed while the page comes back; the caller commits."""
    for name, own in _keys(key):
        if form[name].data and (name != "password" or form.secret_act.data != "clear"):
            drafts.keep(own, form[name].data)
            if name == "password":
                form.secret_act.data = "keep"


def kept(key: DraftKey) -> frozenset[str]:
    """The fields whose secret is kept."""
    return frozenset(name for name, own in _keys(key) if drafts.typed(own) is not None)


def drop(key: DraftKey) -> None:
    for _name, own in _keys(key):
        drafts.drop(own)


def field_of(form: SenderForm) -> str:
    """The field that a refused login is about."""
    authentication = _authentication(form)
    if authentication is Authentication.OAUTH2_REFRESH_TOKEN:
        return "refresh_token"
    return SECRET_KEY.get(authentication, "password")


def _authentication(form: SenderForm) -> Authentication:
    try:
        return Authentication(form.authentication.data)
    except ValueError:
        return Authentication.PASSWORD


def _password(form: SenderForm, key: DraftKey) -> SecretChange:
    typed = form.password.data or ""
    if form.secret_act.data == "clear":
        return Clear()
    if typed:
        return Replace(typed)
    if form.secret_act.data in (None, "keep"):
        found = drafts.typed(key)
        return Replace(found) if found else Keep()
    return Clear()


def _typed_or_kept(form: SenderForm, key: DraftKey, name: str) -> str | None:
    return form[name].data or drafts.typed(dict(_keys(key))[name])


def _keys(key: DraftKey) -> Iterator[tuple[str, DraftKey]]:
    yield "password", key
    for name in SECRET_FIELDS:
        yield name, dataclasses.replace(key, form=uuid.uuid5(key.form, name))
