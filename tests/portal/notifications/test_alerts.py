"""Alerts: raised once, repeated, acknowledged, resolved; each with the mail of its own."""

import threading

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from portal.audit.log import SYSTEM
from portal.audit.models import AuditEntry
from portal.delivery.models import Delivery, State
from portal.extensions import db
from portal.notifications import alerts, routing, search
from portal.notifications.models import Alert, AlertStatus, LeftOut, Severity
from portal.notifications.search import AlertFilters
from portal.validation import Invalid
from tests.cast import Cast, Tenant
from tests.portal.records.records import organization_of

Open = scoped_session[Session]


def raised(tenant: Tenant, title: str = "Disk full", **values: object) -> alerts.Raised:
    said = alerts.parse_raise(title=title, **({"severity": "error"} | values))  # type: ignore[arg-type]
    outcome = alerts.raise_alert(organization_of(tenant), said, actor=SYSTEM)
    db.session.commit()
    return outcome


def recipients(outcome: alerts.Raised) -> list[str]:
    return sorted(delivery.recipient for delivery in outcome.deliveries)


def test_without_a_rule_the_administrators_are_told(session: Open, cast: Cast) -> None:
    assert recipients(raised(cast.acme)) == [cast.alice.email]


def test_rules_choose_by_severity(session: Open, cast: Cast) -> None:
    acme = organization_of(cast.acme)
    routing.add_rule(
        acme,
        category="alert",
        minimum_severity="error",
        audience=["role:member"],
        actor=SYSTEM,
    )
    assert recipients(raised(cast.acme, severity="error")) == [cast.bob.email, cast.dave.email]
    assert recipients(raised(cast.acme, severity="info")) == [cast.alice.email]


def test_recipients_of_the_call_go_before_the_rules(session: Open, cast: Cast) -> None:
    outcome = raised(cast.acme, recipients=["bob@acme.test", "user:gone@acme.test"])
    assert recipients(outcome) == [cast.bob.email]
    left_out = session.scalars(select(LeftOut)).one()
    assert (left_out.notification_id, left_out.entry, left_out.reason) == (
        outcome.alert.notification_id,
        "user:gone@acme.test",
        "not_a_member",
    )


def test_an_outside_address_never_gets_mail_by_the_hosts_sender(session: Open, cast: Cast) -> None:
    (by_host,) = raised(cast.acme, recipients=["eve@elsewhere.test"]).deliveries
    (by_own,) = raised(cast.globex, recipients=["eve@elsewhere.test"]).deliveries
    assert (by_host.state, by_host.reason) == (State.SUPPRESSED, "external_recipient")
    assert by_own.state is State.QUEUED


def test_a_repeat_is_counted_and_mails_nobody_again(session: Open, cast: Cast) -> None:
    first = raised(cast.acme, dedupe_key="disk")
    again = raised(cast.acme, dedupe_key="disk")
    elsewhere = raised(cast.globex, dedupe_key="disk")
    assert again.repeated and again.alert.id == first.alert.id and not again.deliveries
    assert again.alert.repeats == 1
    assert not elsewhere.repeated
    assert len(session.scalars(select(Delivery)).all()) == 2


def test_after_it_is_resolved_the_same_key_is_a_new_alert(session: Open, cast: Cast) -> None:
    first = raised(cast.acme, dedupe_key="disk").alert
    assert alerts.resolve_by_key(organization_of(cast.acme), "disk", actor=SYSTEM) is first
    session.commit()
    second = raised(cast.acme, dedupe_key="disk")
    assert not second.repeated and second.alert.id != first.id


def test_resolving_and_acknowledging_twice_changes_nothing(session: Open, cast: Cast) -> None:
    acme, alert = organization_of(cast.acme), raised(cast.acme).alert
    for _ in range(2):
        alerts.acknowledge_alert(acme, alert, user_id=cast.bob.id, actor=SYSTEM)
        alerts.resolve_alert(acme, alert, actor=SYSTEM)
    session.commit()
    actions = [entry.action for entry in session.scalars(select(AuditEntry))]
    assert actions.count("alert.acknowledged") == actions.count("alert.resolved") == 1
    assert (alert.status, alert.acknowledged_by) == (AlertStatus.RESOLVED, cast.bob.id)


def test_twins_at_the_same_moment_become_one_alert(app: Flask, cast: Cast) -> None:
    together = threading.Barrier(8)

    def call() -> None:
        with app.app_context():
            together.wait()
            raised(cast.acme, dedupe_key="disk")

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with app.app_context():
        alert = db.session.scalars(select(Alert)).one()
        assert alert.repeats == 7
        assert len(db.session.scalars(select(Delivery)).all()) == 1


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": "Disk\r\nBcc: eve@elsewhere.test"}, "title"),
        ({"title": "x" * 301}, "title"),
        ({"severity": "loud"}, "severity"),
        ({"text": "a\x00b"}, "text"),
        ({"recipients": []}, "recipients"),
        ({"recipients": ["nobody"]}, "recipients.0"),
    ],
)
def test_what_no_mail_can_say_is_refused(values: dict[str, object], field: str) -> None:
    sound: dict[str, object] = {"title": "Disk full", "severity": "error"}
    with pytest.raises(Invalid) as refused:
        alerts.parse_raise(**(sound | values))  # type: ignore[arg-type]
    assert [error.field for error in refused.value.errors] == [field]


def test_a_list_narrows_and_pages_both_ways(session: Open, cast: Cast) -> None:
    acme = organization_of(cast.acme)
    made = [raised(cast.acme, f"Disk {number}", severity="info").alert for number in range(5)]
    alerts.resolve_alert(acme, made[0], actor=SYSTEM)
    session.commit()
    first = search.alerts(acme, AlertFilters(), limit=2)
    second = search.alerts(acme, AlertFilters(), limit=2, after=first.next)
    back = search.alerts(acme, AlertFilters(), limit=2, newer_than=second.newer)
    assert [alert.title for alert in second.items] == ["Disk 2", "Disk 1"]
    assert (first.newer, back.items, back.newer) == (None, first.items, None)
    for filters, number in (
        (AlertFilters(status=AlertStatus.RESOLVED), 1),
        (AlertFilters(severity=Severity.CRITICAL), 0),
        (AlertFilters(text="disk 3"), 1),
        (AlertFilters(text="%"), 0),
    ):
        assert len(search.alerts(acme, filters).items) == number, filters
    assert search.alerts(organization_of(cast.globex), AlertFilters()).items == []
    assert alerts.find(organization_of(cast.globex), made[0].id) is None
