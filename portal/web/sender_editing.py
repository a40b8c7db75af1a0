"""One request of the form of a sender, and everything that its page shows."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import make_response, render_template, request
from flask.typing import ResponseReturnValue

from portal.delivery import backlog
from portal.delivery.counting import Count
from portal.delivery.report import Report
from portal.extensions import db
from portal.settings import effective, overview, sender_rules, senders
from portal.settings.drafts import DraftKey
from portal.settings.forms import SenderForm
from portal.settings.models import Sender, VersionState
from portal.settings.provider_texts import HINTS
from portal.settings.senders import SecretChange
from portal.smtp.values import Phase
from portal.validation import Invalid
from portal.web import guard, sender_presets, sender_secrets, settings_pages
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


@dataclass
class Editing:
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

    @property
    def cancel_url(self) -> str:
        if self.is_set_up:
            return self.place.url("set_up_sender")
        if self.sender is None:
            return self.place.url("senders")
        return self.place.url("sender", sender_id=self.sender.id)

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


def _shown(editing: Editing) -> Mapping[str, Any]:
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
        "cancel_url": editing.cancel_url,
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


def _problem(editing: Editing) -> tuple[str, str] | None:
    """The link from the summary to the field that a failed test is about."""
    failure = editing.report.failure if editing.report else None
    if failure is None:
        return None
    field = _FIELD_OF_STEP.get(Phase(failure.step))
    if field == "password":
        field = sender_secrets.field_of(editing.form)
    label = f"{editing.form[field].label.text}: " if field else ""
    return f"{label}{failure.say}", f"#{field}" if field else "#report"
