"""What happens in the demo: an alert and an approval in each organization, and their mail."""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from string import Template

from sqlalchemy import select

from portal.audit.log import Actor, ActorType
from portal.clock import utcnow
from portal.delivery.models import Delivery, State
from portal.extensions import db
from portal.identity import organizations
from portal.notifications import alerts, approval_requests
from portal.notifications.resources import Resource
from portal.settings import effective
from portal.settings.models import Sender, VersionState

_MONITORING = Actor(ActorType.SYSTEM, name="Monitoring")


@dataclass(frozen=True)
class Story:
    """What is told in one organization."""

    slug: str
    alert: str
    severity: str
    text: str
    resource: Resource
    approval: str
    reason: str
    approvers: tuple[str, ...]
    requested_by: str


@dataclass(frozen=True)
class Mail:
    """One mail as its sending record tells it. `server` and `port` are None until it was tried."""

    kind: str
    recipient: str
    state: State
    reason: str | None
    server: str | None
    port: int | None

    @property
    def is_accepted(self) -> bool:
        return self.state is State.ACCEPTED


def settings_file(ports: Mapping[str, int]) -> str:
    """The sample settings for `portal apply`, with the ports of the mail catchers."""
    text = resources.files("portal.demo").joinpath("sample.yaml").read_text(encoding="utf-8")
    return Template(text).substitute(ports)


def logo() -> bytes:
    """The image that the settings name as globex.png."""
    return resources.files("portal.demo").joinpath("globex.png").read_bytes()


def tell() -> list[uuid.UUID]:
    """Raise the alerts and ask for the approvals; commits. Returns the ids of their deliveries."""
    made = [delivery.id for story in STORIES for delivery in _tell(story)]
    db.session.commit()
    return made


def mails(ids: Iterable[uuid.UUID]) -> list[Mail]:
    """The sending records of these deliveries, in the order in which they were made."""
    found = db.session.scalars(
        select(Delivery).where(Delivery.id.in_(list(ids))).order_by(Delivery.id)
    )
    return [_mail(delivery) for delivery in found]


def _tell(story: Story) -> Iterator[Delivery]:
    organization = organizations.by_slug(story.slug)
    assert organization is not None, f"{story.slug} is not in the sample settings"
    said = alerts.parse_raise(
        title=story.alert, severity=story.severity, text=story.text, resource=story.resource
    )
    yield from alerts.raise_alert(organization, said, actor=_MONITORING).deliveries
    yield from approval_requests.request_approval(
        organization, _asked(story), actor=_MONITORING
    ).deliveries


def _asked(story: Story) -> approval_requests.Request:
    return approval_requests.parse_request(
        title=story.approval,
        text=story.reason,
        approvers=story.approvers,
        resource=story.resource,
        requested_by=story.requested_by,
        expires_at=utcnow() + timedelta(days=3),
    )


def _mail(delivery: Delivery) -> Mail:
    sender = db.session.get(Sender, delivery.sender_id) if delivery.sender_id else None
    version = effective.version_of(sender, VersionState.ACTIVE) if sender else None
    return Mail(
        kind=delivery.kind,
        recipient=delivery.recipient,
        state=delivery.state,
        reason=delivery.reason,
        server=delivery.server,
        port=version.port if version else None,
    )


STORIES = (
    Story(
        slug="acme",
        alert="Nightly backup of orders-db failed",
        severity="error",
        text="No space left on the backup volume. The last good backup is 26 hours old.",
        resource=Resource("orders-db", "https://console.acme.test/databases/orders-db", "database"),
        approval="Grow the backup volume of orders-db to 2 TiB",
        reason="The volume is full; 2 TiB last for about a year.",
        approvers=("alice@acme.test",),
        requested_by="bob@acme.test",
    ),
    Story(
        slug="globex",
        alert="Replication lag of ledger is above 5 minutes",
        severity="critical",
        text="The replica in the second site is 7 minutes behind.",
        resource=Resource("ledger", "https://console.globex.test/clusters/ledger", "cluster"),
        approval="Fail ledger over to the second site",
        reason="Reads are stale. The failover takes about 40 seconds.",
        approvers=("carol@globex.test",),
        requested_by="dave@both.test",
    ),
)
