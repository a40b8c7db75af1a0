"""Forms of alerts, approvals and routing rules. They hold what was typed; capabilities judge it."""

import uuid
from collections.abc import Callable, Iterable, Iterator

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateField,
    Field,
    HiddenField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
    URLField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Optional, ValidationError

from portal.clock import new_id
from portal.identity.models import Role
from portal.notifications.models import Severity, Verdict
from portal.notifications.recipients import Person, parse_audience
from portal.notifications.resources import Resource
from portal.validation import Invalid, address_key, one_line, plain_text, web_link

# So many members are offered as boxes to tick; others are named by their address.
MOST_BOXES = 100
_LONGEST_TEXT = 20_000
_SEVERITIES = (
    SelectChoice(Severity.INFO.value, _l("Info")),
    SelectChoice(Severity.WARNING.value, _l("Warning")),
    SelectChoice(Severity.ERROR.value, _l("Error")),
    SelectChoice(Severity.CRITICAL.value, _l("Critical")),
)
_ROLES = (
    SelectChoice(f"role:{Role.ADMINISTRATOR.value}", _l("All Administrators")),
    SelectChoice(f"role:{Role.MEMBER.value}", _l("All Members")),
)


def _is_one_line(_form: FlaskForm, field: Field) -> None:
    _judge(lambda: one_line(field.short_name, field.data or "", longest=300))


def _is_text(_form: FlaskForm, field: Field) -> None:
    _judge(lambda: plain_text(field.short_name, field.data or "", longest=_LONGEST_TEXT))


def _is_link(_form: FlaskForm, field: Field) -> None:
    _judge(lambda: web_link(field.short_name, field.data or ""))


def _are_entries(_form: FlaskForm, field: Field) -> None:
    """Each line on its own, so that the message names the one that is wrong."""
    for line in _lines(field.data):
        try:
            parse_audience(field.short_name, [line])
        except Invalid as problem:
            raise ValidationError(f"“{line[:80]}”: {problem.errors[0].message}") from None


def _judge(rule: Callable[[], object]) -> None:
    try:
        rule()
    except Invalid as problem:
        raise ValidationError(problem.errors[0].message) from None


def _title(missing: str) -> StringField:
    return StringField(
        _l("Title"),
        [InputRequired(missing), _is_one_line],
        render_kw={"autocomplete": "off", "maxlength": 300},
    )


def _addresses(description: str) -> TextAreaField:
    return TextAreaField(
        _l("Addresses"),
        [Optional(), _are_entries],
        description=description,
        render_kw={"rows": 3, "autocomplete": "off"},
    )


class ResourceForm(FlaskForm):
    """What it is about: a name and a link."""

    # Names this opened form: what it makes gets it as id, so that a second post makes nothing new.
    form_token = HiddenField(default=lambda: str(new_id()))

    resource_name = StringField(
        _l("Resource"),
        [Optional(), _is_one_line],
        description=_l("What it is about, for example orders-db."),
        render_kw={"autocomplete": "off", "maxlength": 300},
    )
    resource_url = URLField(
        _l("Link to the resource"),
        [Optional(), _is_link],
        render_kw={"autocomplete": "off", "placeholder": "https://"},
    )

    @property
    def resource(self) -> Resource:
        """As it was typed; judged by the fields."""
        return Resource(
            (self.resource_name.data or "").strip() or None,
            (self.resource_url.data or "").strip() or None,
        )

    @property
    def token(self) -> uuid.UUID:
        """Which opened form this is; a fresh one where it was tampered with."""
        try:
            return uuid.UUID(self.form_token.data or "")
        except ValueError:
            return new_id()


class AudienceForm(FlaskForm):
    """Who is told: roles, members by name, and whoever else by address."""

    roles = SelectMultipleField(_l("Roles"), choices=_ROLES)
    members = SelectMultipleField(_l("Members"))

    def offer(self, people: Iterable[Person]) -> None:
        """The members that can be ticked."""
        self.members.choices = list(_boxes(people, "user:"))

    def named(self, addresses: TextAreaField) -> list[str]:
        """What was chosen, as audience entries."""
        return [
            *(self.roles.data or ()),
            *(self.members.data or ()),
            *_lines(addresses.data),
        ]


class AlertForm(ResourceForm, AudienceForm):
    title = _title(_l("Say in one line what happened."))
    severity = RadioField(_l("Severity"), choices=_SEVERITIES, default=Severity.WARNING.value)
    text = TextAreaField(
        _l("Text"),
        [Optional(), _is_text],
        description=_l("What people should know or do. It goes into the mail as plain text."),
        render_kw={"rows": 6},
    )
    told = RadioField(
        _l("Who is told"),
        choices=(
            SelectChoice("rules", _l("Whom the routing rules name")),
            SelectChoice("named", _l("People named here")),
        ),
        default="rules",
    )
    recipients = _addresses(
        _l("One a line. Outside addresses get mail over a sender of your own only.")
    )

    @property
    def audience(self) -> list[str] | None:
        """None: the routing rules choose."""
        return None if self.told.data == "rules" else self.named(self.recipients)


class ApprovalForm(ResourceForm):
    title = _title(_l("Say in one line what should be approved."))
    text = TextAreaField(
        _l("Text"),
        [Optional(), _is_text],
        description=_l("What the approvers need to know. It goes into the mail as plain text."),
        render_kw={"rows": 6},
    )
    approvers = SelectMultipleField(_l("Approvers"))
    others = TextAreaField(
        _l("More approvers"),
        [Optional(), _are_entries],
        description=_l("Members by address, one a line."),
        render_kw={"rows": 2, "autocomplete": "off"},
    )
    expires_at = DateField(
        _l("Open until"),
        [Optional(_l("Enter a day, for example 2026-12-31."))],
        description=_l("The end of that day in your time zone; at most 90 days from now."),
    )

    def offer(self, people: Iterable[Person]) -> None:
        """The members that can be ticked."""
        self.approvers.choices = list(_boxes(people, ""))

    @property
    def audience(self) -> list[str]:
        return [*(self.approvers.data or ()), *_lines(self.others.data)]


class RuleForm(AudienceForm):
    minimum_severity = SelectField(
        _l("From severity"),
        choices=_SEVERITIES,
        default=Severity.INFO.value,
        description=_l("This severity and every higher one."),
    )
    audience = _addresses(
        _l("One a line. Outside addresses get mail over a sender of your own only.")
    )

    @property
    def entries(self) -> list[str]:
        return self.named(self.audience)

    def fill(self, entries: Iterable[str]) -> None:
        """Show the entries of a rule; what no box stands for becomes a line."""
        boxes = {address_key(value.partition(":")[2]): value for value, _ in self.members.choices}
        self.roles.data, self.members.data, lines = [], [], []
        for entry in entries:
            kind, _, address = entry.partition(":")
            if kind == "role":
                self.roles.data.append(entry)
            elif (box := boxes.get(address_key(address))) is not None:
                self.members.data.append(box)
            else:
                lines.append(entry.removeprefix("address:"))
        self.audience.data = "\n".join(lines)


class MembersMayForm(FlaskForm):
    members_may_raise = BooleanField(_l("Members may raise alerts and ask for approvals"))


class DecisionForm(FlaskForm):
    """The verdict comes with the button that was pressed."""

    comment = TextAreaField(_l("Comment"), [Optional()], render_kw={"rows": 3, "maxlength": 2000})
    verdict = StringField()

    @property
    def chosen(self) -> Verdict | None:
        return Verdict(self.verdict.data) if self.verdict.data in list(Verdict) else None


def no_approver() -> str:
    return _("Tick at least one approver.")


def _boxes(people: Iterable[Person], prefix: str) -> Iterator[tuple[str, str]]:
    """Members who can get mail, by name."""
    able = [person for person in people if person.is_verified]
    for person in sorted(able, key=lambda one: one.name.casefold())[:MOST_BOXES]:
        yield f"{prefix}{person.address}", f"{person.name}, {person.address}"


def _lines(text: str | None) -> list[str]:
    return [line.strip() for line in (text or "").splitlines() if line.strip()]
