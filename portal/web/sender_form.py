"""The form of a sender: check, send, repair, save, cancel, all from the values that were typed."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import flash, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from wtforms.fields.choices import SelectChoice

from portal import kinds
from portal.delivery import backlog, sender_tests
from portal.delivery.counting import Count
from portal.delivery.report import Report
from portal.delivery.sender_tests import TooManyTests
from portal.extensions import db
from portal.settings import effective, overview, providers, sender_rules, senders
from portal.settings.drafts import DraftKey
from portal.settings.forms import SenderForm, new_sender_data, sender_data
from portal.settings.models import Sender, VersionState
from portal.settings.provider_texts import HINTS
from portal.settings.providers import Provider
from portal.settings.senders import SecretChange
from portal.smtp.values import Encryption, Phase
from portal.validation import Invalid, Stale, one_line
from portal.web import (
    guard,
    mail_catchers,
    sender_corrections,
    sender_presets,
    sender_secrets,
    settings_pages,
    words,
)
from portal.web.forms import put_errors
from portal.web.settings_pages import Place

# Which field is likely to be wrong when a step of the test fails.
_FIELD_OF_STEP = {
    Phase.POLICY: "server",
    Phase.DNS: "server",
    Phase.CONNECT: "server",
    Phase.GREETING: "server",
    Phase.TLS: "encryption",
    Phase.STARTTLS: "encryption",
    Phase.AUTH: "password",
    Phase.MAIL: "from_address",
    Phase.RCPT: "to",
}


_ADVANCED = (
    "ca",
    "any_certificate",
    "ehlo_name",
    "envelope_sender",
    "connect_timeout",
    "command_timeout",
    "per_minute",
    "per_day",
    "connections",
    "messages_per_connection",
    "priority",
    "kinds",
    "allowed_from",
)


def answer(place: Place, sender: Sender | None) -> ResponseReturnValue:
    """The page of a new sender (None) or of a stored one, and everything its buttons do."""
    if settings_pages.is_locked(place):
        return _locked(place)
    editing = _Editing(place, sender, _form(place, sender))
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


@dataclass
class _Editing:
    """One request of the form: where, what, and what the page will say beside the form."""

    place: Place
    sender: Sender | None
    form: SenderForm
    report: Report | None = None
    stale: settings_pages.Change | None = None
    is_stale: bool = False
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def key(self) -> DraftKey:
        session = guard.principal().session
        assert session is not None  # the guard lets only signed-in people in
        return DraftKey(session.id, self.place.scope, self.form.token)

    @property
    def is_set_up(self) -> bool:
        """Whether the first run asks for this sender, and goes on after it."""
        return self.place.is_host and self.sender is None and "set_up" in request.args

    @property
    def raw(self) -> dict[str, Any]:
        by_host = guard.principal().actor.is_host
        return self.form.raw(at_host=self.place.is_host, by_host=by_host)

    @property
    def name(self) -> str:
        return self.form.name.data or ""

    def secret(self) -> SecretChange:
        return sender_secrets.change_of(self.form, self.key)

    def keep_typed(self) -> None:
        """Keep secrets that were just typed while the page comes back; commits."""
        sender_secrets.keep(self.form, self.key)
        db.session.commit()

    def page(self, status: int = 200) -> ResponseReturnValue:
        self.form.encryption_was.data = self.form.encryption.data
        if sender_rules.holds_private_key(self.form.ca.data or ""):
            self.form.ca.data = ""
        page = render_template("settings/sender_form.html", **_shown(self))
        return make_response(page, status)

    def refused(self, invalid: Invalid, status: int = 422) -> ResponseReturnValue:
        """The page again, with everything that was typed."""
        db.session.rollback()
        self.keep_typed()
        put_errors(self.form, settings_pages.renamed(invalid, {"verify": "any_certificate"}))
        return self.page(status)


def _fill_asked_provider(editing: _Editing) -> None:
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
        return _offer_kinds(SenderForm(data=new_sender_data(to)))
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
    return _offer_kinds(SenderForm(data=data))


def _offer_kinds(form: SenderForm) -> SenderForm:
    """By category: the whole of it, followed by its kinds."""
    choices: list[SelectChoice] = []
    for category in kinds.Category:
        group = words.carried(category.value)
        whole = _("All of “%(category)s”, kinds to come too", category=group)
        choices.append(SelectChoice(category.value, whole, {}, group))
        for kind in kinds.of(category):
            choices.append(SelectChoice(kind.key, words.carried(kind.key), {}, group))
    form.kinds.choices = choices
    return form


def _test(editing: _Editing, *, check_only: bool) -> ResponseReturnValue:
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


def _wait(editing: _Editing, seconds: int) -> ResponseReturnValue:
    sentence = _("Too many tests for now. Test again in %(seconds)s seconds.", seconds=seconds)
    response = make_response(editing.refused(Invalid.field("", sentence), 429))
    response.headers["Retry-After"] = str(seconds)
    return response


def _preset(editing: _Editing) -> ResponseReturnValue:
    """Fill in what the provider documents; nothing is saved, and what was typed stays."""
    editing.notes = [sender_presets.fill(editing.form)]
    editing.keep_typed()
    return editing.page()


def _repair(editing: _Editing, repair: str) -> ResponseReturnValue:
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


def _cancel(editing: _Editing) -> ResponseReturnValue:
    sender_secrets.drop(editing.key)
    target = _after_cancel(editing)
    db.session.commit()
    return redirect(target, 303)


def _save(editing: _Editing, *, activate: bool | None) -> ResponseReturnValue:
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
        stored = senders.shown_version(saved.sender)
        server, port = stored.server, stored.port
        db.session.commit()
    except Stale:
        return _stale(editing)
    except Invalid as invalid:
        db.session.rollback()
        return _twin(editing) or editing.refused(invalid)
    flash(*said)
    sender_corrections.tell(server, port)
    return redirect(target, 303)


def _twin(editing: _Editing) -> ResponseReturnValue | None:
    """A new sender's form that was posted before: the answer is the sender that it made."""
    made = senders.get(editing.place.scope, editing.form.token) if not editing.sender else None
    if made is None:
        return None
    flash(_("Sender %(name)s was saved already by this form.", name=made.name), "success")
    return redirect(editing.place.url("sender", sender_id=made.id), 303)


def _stale(editing: _Editing) -> ResponseReturnValue:
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


def _after_save(editing: _Editing, sender: Sender) -> str:
    if editing.is_set_up:
        return editing.place.url("set_up_done")
    return editing.place.url("sender", sender_id=sender.id)


def _after_cancel(editing: _Editing) -> str:
    if editing.is_set_up:
        return editing.place.url("set_up_sender")
    if editing.sender is None:
        return editing.place.url("senders")
    return editing.place.url("sender", sender_id=editing.sender.id)


def _shown(editing: _Editing) -> Mapping[str, Any]:
    place, sender = editing.place, editing.sender
    version = senders.shown_version(sender) if sender else None
    return {
        "place": place,
        "sender": sender,
        "form": editing.form,
        "version": version,
        "active": effective.version_of(sender, VersionState.ACTIVE) if sender else None,
        "health_now": overview.health_of(sender) if sender else None,
        "way": settings_pages.way(place),
        "waiting": backlog.waiting_on(place.scope, sender) if sender else Count(0),
        "secret_by": _who_set_secret(place, sender),
        "is_advanced": _is_advanced(editing.form),
        "kept": (kept := sender_secrets.kept(editing.key)),
        "typed_kept": bool(kept),
        "provider": sender_presets.chosen(editing.form),
        "hints": HINTS,
        "report": editing.report,
        "problem": _problem(editing),
        "stale": editing.stale,
        "is_stale": editing.is_stale,
        "notes": editing.notes,
        "by_host": guard.principal().actor.is_host,
        "cancel_url": _after_cancel(editing),
    }


def _is_advanced(form: SenderForm) -> bool:
    """Whether something stands in the folded part that should be seen."""
    if any(form[name].errors for name in _ADVANCED):
        return True
    seen = ("ca", "any_certificate", "kinds", "allowed_from")
    return any(form[name].data for name in seen)


def _who_set_secret(place: Place, sender: Sender | None) -> str | None:
    if sender is None or senders.shown_version(sender).secret_set_at is None:
        return None
    return settings_pages.who_changed(place, sender.id, "secret")


def _problem(editing: _Editing) -> tuple[str, str] | None:
    """The link from the summary to the field that a failed test is about."""
    failure = editing.report.failure if editing.report else None
    if failure is None:
        return None
    field = _FIELD_OF_STEP.get(Phase(failure.step))
    if field == "password":
        field = sender_secrets.field_of(editing.form)
    label = f"{editing.form[field].label.text}: " if field else ""
    return f"{label}{failure.say}", f"#{field}" if field else "#report"
