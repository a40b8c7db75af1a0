"""Forms about people, organizations and tokens. They hold what was typed; the rules lie in the
capabilities, and stand here too, so that all fields are judged at once."""

import zoneinfo
from collections.abc import Callable

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import (
    EmailField,
    Field,
    PasswordField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Optional, ValidationError

from portal.identity import passwords, person_names, users
from portal.identity.models import Role
from portal.identity.policy import Scope
from portal.validation import Invalid, display_name, slug

_AREAS = frozenset(
    {"Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
)


def follows(rule: Callable[[str, str], str]) -> Callable[[FlaskForm, Field], None]:
    """A validator that asks one of our own rules."""

    def check(form: FlaskForm, field: Field) -> None:
        try:
            rule(field.short_name, field.data or "")
        except Invalid as problem:
            raise ValidationError(problem.errors[0].message) from None

    return check


def _new_password(label: str) -> PasswordField:
    return PasswordField(
        label,
        [follows(passwords.check_new)],
        description=_l("At least 12 characters. Four unrelated words are easy to keep in mind."),
        render_kw={"autocomplete": "new-password"},
    )


def _email(label: str, autocomplete: str) -> EmailField:
    return EmailField(
        label, [follows(users.account_email)], render_kw={"autocomplete": autocomplete}
    )


def _person_name(autocomplete: str) -> StringField:
    return StringField(
        _l("Name"), [follows(person_names.check)], render_kw={"autocomplete": autocomplete}
    )


class SetUpForm(FlaskForm):
    """First run."""

    platform = StringField(
        _l("Name of the platform"),
        [InputRequired(_l("Enter the platform’s name, for example Acme Cloud.")),
         follows(display_name)],
        description=_l("Recipients see it as the sender’s name. You can change it later."),
    )  # fmt: skip
    name = _person_name("name")
    email = _email(_l("Email address"), "username")
    password = _new_password(_l("Password"))


class SignInForm(FlaskForm):
    """Nothing here says what a right value looks like."""

    email = EmailField(
        _l("Email address"),
        [InputRequired(_l("Enter your email address."))],
        render_kw={"autocomplete": "username"},
    )
    password = PasswordField(
        _l("Password"),
        [InputRequired(_l("Enter your password."))],
        render_kw={"autocomplete": "current-password"},
    )


class RecoveryForm(FlaskForm):
    email = _email(_l("Email address"), "username")


class NewPasswordForm(FlaskForm):
    password = _new_password(_l("New password"))


class AcceptForm(FlaskForm):
    """A person who is new here."""

    name = _person_name("name")
    password = _new_password(_l("Password"))


class InvitationForm(FlaskForm):
    email = _email(_l("Email address"), "off")
    name = _person_name("off")
    role = RadioField(
        _l("Role"),
        choices=[
            SelectChoice(Role.MEMBER.value, _l("Member")),
            SelectChoice(Role.ADMINISTRATOR.value, _l("Administrator")),
        ],
        default=Role.MEMBER.value,
    )


class RoleForm(FlaskForm):
    role = RadioField(
        _l("Role"),
        choices=[
            SelectChoice(Role.MEMBER.value, _l("Member")),
            SelectChoice(Role.ADMINISTRATOR.value, _l("Administrator")),
        ],
    )


class AdministratorForm(FlaskForm):
    email = _email(_l("Email address"), "off")
    name = _person_name("off")


class OrganizationNameForm(FlaskForm):
    name = StringField(
        _l("Name"),
        [InputRequired(_l("Enter the organization’s name, for example Globex.")),
         follows(display_name)],
        render_kw={"autocomplete": "off"},
    )  # fmt: skip


class OrganizationForm(OrganizationNameForm):
    """A new organization, with the person who will run it."""

    slug = StringField(
        _l("Short name"),
        [Optional(), follows(slug)],
        description=_l(
            "Stands in addresses, in the API and in settings files; cannot be changed later. "
            "Empty: made from the name."
        ),
        render_kw={"autocomplete": "off"},
    )
    administrator_email = EmailField(
        _l("Email address of the first Administrator"),
        [Optional(), follows(users.account_email)],
        description=_l(
            "Who has an account becomes Administrator at once; others get an invitation by mail."
        ),
        render_kw={"autocomplete": "off"},
    )
    administrator_name = StringField(
        _l("Name of the first Administrator"),
        [Optional(), follows(person_names.check)],
        render_kw={"autocomplete": "off"},
    )


class ApiTokenForm(FlaskForm):
    name = StringField(
        _l("Name"),
        [InputRequired(_l("Name the system that will use this token, for example ci."))],
        description=_l("The system that will use it, for example ci."),
        render_kw={"autocomplete": "off"},
    )
    scopes = SelectMultipleField(
        _l("What it may do"),
        [InputRequired(_l("Choose at least one."))],
        choices=[
            SelectChoice(Scope.SEND.value, _l("Send: raise alerts and request approvals")),
            SelectChoice(
                Scope.READ.value, _l("Read: settings, alerts, approvals and sending records")
            ),
            SelectChoice(Scope.CONFIGURE.value, _l("Configure: mail settings and senders")),
        ],
    )
    lifetime = SelectField(
        _l("Valid for"),
        choices=[
            SelectChoice("30", _l("30 days")),
            SelectChoice("90", _l("90 days")),
            SelectChoice("365", _l("1 year")),
            SelectChoice("never", _l("Until it is revoked")),
        ],
        default="365",
    )


class ProfileForm(FlaskForm):
    name = _person_name("name")
    language = SelectField(
        _l("Language"),
        choices=[
            SelectChoice("", _l("Not set")),
            SelectChoice("en", "English"),
            SelectChoice("zh", "简体中文"),
        ],
        description=_l(
            "Not set: pages follow your browser, mail follows the organization or the platform."
        ),
    )
    timezone = SelectField(
        _l("Time zone"), description=_l("Times on pages and in mail are shown in it.")
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.timezone.choices = _zones(self.timezone.data)


class PasswordForm(FlaskForm):
    current_password = PasswordField(
        _l("Current password"),
        [InputRequired(_l("Enter the password that you have now."))],
        render_kw={"autocomplete": "current-password"},
    )
    new_password = _new_password(_l("New password"))


class ActForm(FlaskForm):
    """A form of one button."""


def wrong_password() -> str:
    """The one sentence for a wrong address and a wrong password alike."""
    return _("The email address or the password is not right. Check both, or set a new password.")


def _zones(current: str | None) -> list[str]:
    zones = {zone for zone in zoneinfo.available_timezones() if zone.split("/")[0] in _AREAS}
    return ["UTC", *sorted(zones | ({current} if current and current != "UTC" else set()))]
