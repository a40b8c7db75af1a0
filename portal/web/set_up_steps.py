"""Setting the platform up: the steps of the first run, and what of them is left."""

from dataclasses import dataclass

from flask import url_for
from flask_babel import gettext as _

from portal.identity import users
from portal.records import overview as reading
from portal.settings import effective, overview, senders
from portal.settings.scope import HOST


@dataclass(frozen=True)
class Step:
    """One step above the page."""

    label: str
    note: str = ""
    done: bool = False
    current: bool = False


@dataclass(frozen=True)
class Left:
    """Something to do before the platform is complete, and where."""

    title: str
    text: str
    url: str
    icon: str


def track(current: str) -> tuple[Step, ...]:
    """The steps above every page of set-up; `current`: account, platform, sender or done."""
    is_first = current == "account"
    steps = (
        ("account", _("Account"), not is_first),
        ("platform", _("Platform"), not is_first and _is_platform_described()),
        ("sender", _("First sender"), not is_first and _is_ready()),
        ("done", _("What next"), False),
    )
    return tuple(
        Step(label, done=done and name != current, current=name == current)
        for name, label, done in steps
    )


def left() -> list[Left]:
    """What is not done yet; empty once the platform is set up."""
    found = [
        (_is_platform_described(), _platform),
        (_is_ready(), _sender),
        (bool(reading.organizations().all), _organization),
        (not users.is_alone(), _people),
    ]
    return [describe() for is_done, describe in found if not is_done]


def _is_platform_described() -> bool:
    return effective.settings_of(HOST).language is not None


def _is_ready() -> bool:
    return overview.route(None).sender is not None


def _platform() -> Left:
    return Left(
        _("Describe the platform"),
        _("Its name, what stands in front of every subject, and the language of its letters."),
        url_for("host.set_up_platform"),
        "settings",
    )


def _sender() -> Left:
    stored = senders.all_of(HOST)
    where = url_for("host.senders") if stored else url_for("host.set_up_sender")
    return Left(
        _("Give the platform a sender"),
        _("The mail server and the address that mail comes from, proved by a test mail."),
        where,
        "send",
    )


def _organization() -> Left:
    return Left(
        _("Create an organization"),
        _("It starts with the platform’s sender; its Administrators may override it."),
        url_for("host.organization_new"),
        "building",
    )


def _people() -> Left:
    return Left(
        _("Invite people"),
        _("A second system administrator can help when you are away."),
        url_for("host.administrator_new"),
        "users",
    )
