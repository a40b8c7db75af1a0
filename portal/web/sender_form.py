"""The form of a sender: check, send, repair, save, cancel, all from the values that were typed."""

from flask import flash, make_response, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms.fields.choices import SelectChoice

from portal import kinds
from portal.delivery import sender_tests
from portal.delivery.sender_tests import TooManyTests
from portal.extensions import db
from portal.settings import effective, own_fields, providers, senders
from portal.settings.forms import SenderForm, new_sender_data, sender_data
from portal.settings.models import Sender, VersionState
from portal.settings.providers import Provider
from portal.smtp.values import Encryption
from portal.validation import Invalid, Stale, one_line
from portal.web import (
    guard,
    mail_catchers,
    sender_presets,
    sender_secrets,
    settings_pages,
    words,
)
from portal.web.sender_editing import Editing
from portal.web.settings_pages import Place


def answer(place: Place, sender: Sender | None) -> ResponseReturnValue:
    """The page of a new sender (None) or of a stored one, and everything its buttons do."""
    if settings_pages.is_locked(place):
        return _locked(place)
    editing = Editing(place, sender, _form(place, sender))
    if not editing.form.is_submitted():
        _fill_asked_provider(editing)
        return editing.page()
    if editing.form.let_port_follow():
        editing.notes.append(
            _("The port follows the encryption: %(port)s.", port=editing.form.port.data)
        )
    act = request.form.get("act", "save")
    if "repair" in request.form:
        return _repair(editing, request.form["repair"])
    if act == "preset":
        return _preset(editing)
    if act in ("check", "send"):
        return _test(editing, check_only=act == "check")
    if act == "cancel":
        return _cancel(editing)
    return _save(editing, activate=True if act == "activate" else None)


def _fill_asked_provider(editing: Editing) -> None:
    """The preset of the provider that the page's address names, in a new sender's form."""
    if editing.is_set_up and request.args.get("provider") == "catcher":
        if (catcher := mail_catchers.found()) is not None:
            editing.notes = [sender_presets.fill_catcher(editing.form, catcher)]
        return
    asked = providers.by_key(request.args.get("provider", ""))
    if editing.sender is None and asked is not None:
        editing.form.provider.data = asked.key
        editing.notes = [sender_presets.fill(editing.form)]


def _locked(place: Place) -> ResponseReturnValue:
    flash(_("The platform does not allow own senders here; ask a system administrator."), "error")
    return redirect(place.url("senders"), 303)


def _form(place: Place, sender: Sender | None) -> SenderForm:
    user = guard.principal().user
    to = user.email if user else ""
    if sender is None:
        return _offer_kinds(SenderForm(data=new_sender_data(to)), place)
    values = effective.values_of(senders.shown_version(sender))
    data = sender_data(
        values,
        name=sender.name,
        priority=sender.priority,
        kinds=sender.kinds,
        allowed_from=sender.allowed_from,
        revision=sender.revision,
        to=to,
    )
    return _offer_kinds(SenderForm(data=data), place)


def _offer_kinds(form: SenderForm, place: Place) -> SenderForm:
    """By category: the whole of it, followed by its kinds."""
    choices: list[SelectChoice] = []
    known = own_fields.kinds_of(at_host=place.scope.is_host)
    for category in (one for one in kinds.Category if one.value in known):
        group = words.carried(category.value)
        whole = _("All of “%(category)s”, kinds to come too", category=group)
        choices.append(SelectChoice(category.value, whole, {}, group))
        for kind in kinds.of(category):
            choices.append(SelectChoice(kind.key, words.carried(kind.key), {}, group))
    form.kinds.choices = choices
    return form


def _test(editing: Editing, *, check_only: bool) -> ResponseReturnValue:
    before = editing.sender.revision if editing.sender else 0
    try:
        name = one_line("name", editing.name, longest=100) or _("new sender")
        secret = editing.secret()
        editing.keep_typed()
        editing.report = sender_tests.run(
            editing.place.organization,
            editing.sender,
            editing.raw,
            name=name,
            secret=secret,
            to=editing.form.to.data or "",
            check_only=check_only,
            actor=guard.principal().actor,
        )
    except Invalid as invalid:
        return editing.refused(invalid)
    except TooManyTests as limit:
        return _wait(editing, limit.retry_after)
    if editing.sender and editing.form.opened_revision == before:
        # A stored draft that passed is active now; that was our own doing.
        editing.form.revision.data = str(editing.sender.revision)
    return editing.page()


def _wait(editing: Editing, seconds: int) -> ResponseReturnValue:
    sentence = _("Too many tests for now. Test again in %(seconds)s seconds.", seconds=seconds)
    response = make_response(editing.refused(Invalid.field("", sentence), 429))
    response.headers["Retry-After"] = str(seconds)
    return response


def _preset(editing: Editing) -> ResponseReturnValue:
    """Fill in what the provider documents; nothing is saved, and what was typed stays."""
    editing.notes = [sender_presets.fill(editing.form)]
    editing.keep_typed()
    return editing.page()


def _repair(editing: Editing, repair: str) -> ResponseReturnValue:
    """Put the change that a report offered into the form; nothing is saved."""
    encryption, _colon, rest = repair.partition(":")
    port, _colon, address = rest.partition(":")
    if address and isinstance(preset := providers.suggest(address), Provider):
        editing.form.provider.data = preset.key
        editing.notes.append(sender_presets.fill(editing.form))
    else:
        if encryption in set(Encryption):
            editing.form.encryption.data = encryption
        if port.isascii() and port.isdigit():
            editing.form.port.data = port
        editing.notes.append(_("Changed in the form below, not saved yet. Test again."))
    try:
        secret, actor = editing.secret(), guard.principal().actor
        editing.keep_typed()
        senders.candidate(
            editing.place.scope, editing.sender, editing.raw, secret=secret, actor=actor
        )
    except Invalid as invalid:
        return editing.refused(invalid)
    return editing.page()


def _cancel(editing: Editing) -> ResponseReturnValue:
    sender_secrets.drop(editing.key)
    target = editing.cancel_url
    db.session.commit()
    return redirect(target, 303)


def _save(editing: Editing, *, activate: bool | None) -> ResponseReturnValue:
    if (twin := _twin(editing)) is not None:
        return twin
    try:
        saved = senders.save(
            editing.place.scope,
            editing.name,
            editing.raw,
            secret=editing.secret(),
            actor=guard.principal().actor,
            sender=editing.sender,
            activate=activate,
            revision=editing.form.opened_revision if editing.sender else None,
            new_sender_id=editing.form.token,
        )
        sender_secrets.drop(editing.key)
        target = _after_save(editing, saved.sender)
        said = _said(saved)
        corrected = _corrected(saved.sender)
        db.session.commit()
    except Stale:
        return _stale(editing)
    except Invalid as invalid:
        db.session.rollback()
        return _twin(editing) or editing.refused(invalid)
    flash(*said)
    for note in [*editing.notes, *corrected]:
        flash(note, "success")
    return redirect(target, 303)


def _corrected(sender: Sender) -> list[str]:
    """What was stored otherwise than it was typed: nothing changes silently."""
    typed = request.form.get("server", "").strip().lower().rstrip(".")
    stored = senders.shown_version(sender).server
    if typed in ("", stored, f"[{stored}]"):
        return []
    return [_("The SMTP server was stored as %(server)s.", server=stored)]


def _twin(editing: Editing) -> ResponseReturnValue | None:
    """A new sender's form that was posted before: the answer is the sender that it made."""
    made = senders.get(editing.place.scope, editing.form.token) if not editing.sender else None
    if made is None:
        return None
    flash(_("Sender %(name)s was saved already by this form.", name=made.name), "success")
    return redirect(editing.place.url("sender", sender_id=made.id), 303)


def _stale(editing: Editing) -> ResponseReturnValue:
    db.session.rollback()
    editing.keep_typed()
    assert editing.sender is not None
    editing.stale = settings_pages.last_change(editing.place, "sender", editing.sender.id)
    editing.is_stale = True
    editing.form.revision.data = str(editing.sender.revision)
    return editing.page(409)


def _said(saved: senders.Saved) -> tuple[str, str]:
    name = saved.sender.name
    if not saved.changed:
        return _("Nothing was changed in sender %(name)s.", name=name), "success"
    if saved.version.state is VersionState.ACTIVE:
        return _("Sender %(name)s is saved and active.", name=name), "success"
    return (
        _(
            "Sender %(name)s is saved and not active yet: send a test mail, and it becomes active "
            "when that passes.",
            name=name,
        ),
        "warning",
    )


def _after_save(editing: Editing, sender: Sender) -> str:
    if editing.is_set_up:
        return editing.place.url("set_up_done")
    return editing.place.url("sender", sender_id=sender.id)
