"""The side navigation: which pages a person can go to. Pure; an entry whose page is not in the
application, or is not allowed, is left out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from flask_babel import gettext as _
from werkzeug.routing import BuildError

UrlFor = Callable[..., str]


@dataclass(frozen=True)
class NavItem:
    """One entry. `count` stands at its end; `count_is_bad` makes it a warning with words."""

    label: str
    url: str
    icon: str
    current: bool = False
    count: int | str | None = None
    count_is_bad: bool = False


@dataclass(frozen=True)
class NavGroup:
    """Entries under a label; the first group has none."""

    label: str | None
    items: tuple[NavItem, ...]


@dataclass(frozen=True)
class SwitcherEntry:
    """A place that the person can switch to: the host, an organization, or their own pages."""

    name: str
    url: str
    role: str | None = None
    current: bool = False
    monogram: str | None = None


@dataclass(frozen=True)
class Person:
    name: str
    profile_url: str | None = None
    sign_out_url: str | None = None


@dataclass(frozen=True)
class Crumb:
    """One step of the breadcrumb."""

    label: str
    url: str | None = None


@dataclass(frozen=True)
class _Entry:
    label: str
    endpoint: str
    icon: str


def host_navigation(
    url_for: UrlFor,
    endpoint: str | None,
    *,
    has_mail_catcher: bool = False,
    counts: Mapping[str, int | str] | None = None,
    bad: Iterable[str] = (),
) -> tuple[NavGroup, ...]:
    """The pages of the host. `counts` and `bad` go by endpoint: {"host.senders": 2}."""
    catcher = (_Entry(_("Mail catcher"), "host.mail_catcher", "mail"),) if has_mail_catcher else ()
    groups = (
        (
            None,
            (
                _Entry(_("Overview"), "host.overview", "layout-dashboard"),
                _Entry(_("Sending records"), "host.records", "mail-search"),
                _Entry(_("Delivery engine"), "host.delivery_engine", "engine"),
                *catcher,
            ),
        ),
        (
            _("Defaults"),
            (
                _Entry(_("Mail settings"), "host.mail_settings", "settings"),
                _Entry(_("Senders"), "host.senders", "send"),
            ),
        ),
        (
            _("Who"),
            (
                _Entry(_("Organizations"), "host.organizations", "building"),
                _Entry(_("Administrators"), "host.administrators", "users"),
                _Entry(_("API tokens"), "host.api_tokens", "key"),
                _Entry(_("Audit"), "host.audit", "history"),
            ),
        ),
    )
    return _groups(groups, url_for, endpoint, {}, _everything, counts, bad)


def organization_navigation(
    url_for: UrlFor,
    endpoint: str | None,
    slug: str,
    allowed: Callable[[str], bool],
    *,
    counts: Mapping[str, int | str] | None = None,
    bad: Iterable[str] = (),
) -> tuple[NavGroup, ...]:
    """The pages of one organization. `allowed` answers for an endpoint whether the person may."""
    groups = (
        (
            None,
            (
                _Entry(_("Overview"), "organization.overview", "layout-dashboard"),
                _Entry(_("Sending records"), "organization.records", "mail-search"),
            ),
        ),
        (
            _("Set up"),
            (
                _Entry(_("Mail settings"), "organization.mail_settings", "settings"),
                _Entry(_("Senders"), "organization.senders", "send"),
                _Entry(_("Members"), "organization.members", "users"),
                _Entry(_("Routing"), "organization.routing", "route"),
            ),
        ),
        (
            _("Notifications"),
            (
                _Entry(_("Alerts"), "notifications.alerts", "bell"),
                _Entry(_("Approvals"), "notifications.approvals", "checkbox"),
            ),
        ),
        (
            _("Connect"),
            (
                _Entry(_("API tokens"), "organization.api_tokens", "key"),
                _Entry(_("Audit"), "organization.audit", "history"),
            ),
        ),
    )
    return _groups(groups, url_for, endpoint, {"organization": slug}, allowed, counts, bad)


def me_navigation(url_for: UrlFor, endpoint: str | None) -> tuple[NavGroup, ...]:
    """A person's own pages."""
    entries = (
        _Entry(_("Profile"), "me.profile", "user"),
        _Entry(_("Security"), "me.security", "shield-lock"),
    )
    return _groups(((None, entries),), url_for, endpoint, {}, _everything, None, ())


def person(url_for: UrlFor, name: str) -> Person:
    """The foot of the side navigation."""
    return Person(
        name=name,
        profile_url=_url(url_for, "me.profile", {}),
        sign_out_url=_url(url_for, "auth.sign_out", {}),
    )


def trail(groups: Iterable[NavGroup], switcher: Iterable[SwitcherEntry]) -> tuple[Crumb, ...]:
    """The breadcrumb of a page that stands in the navigation: its place, then the page."""
    places = [Crumb(entry.name, entry.url) for entry in switcher if entry.current]
    pages = [
        Crumb(item.label, item.url) for group in groups for item in group.items if item.current
    ]
    return (*places[:1], *pages[:1])


def _groups(
    groups: Iterable[tuple[str | None, tuple[_Entry, ...]]],
    url_for: UrlFor,
    endpoint: str | None,
    values: Mapping[str, str],
    allowed: Callable[[str], bool],
    counts: Mapping[str, int | str] | None,
    bad: Iterable[str],
) -> tuple[NavGroup, ...]:
    failing = frozenset(bad)
    built = []
    for label, entries in groups:
        items = []
        for entry in entries:
            url = _url(url_for, entry.endpoint, values)
            if url is None or not allowed(entry.endpoint):
                continue
            item = NavItem(entry.label, url, entry.icon, _is_at(endpoint, entry.endpoint))
            count = (counts or {}).get(entry.endpoint)
            items.append(replace(item, count=count, count_is_bad=entry.endpoint in failing))
        if items:
            built.append(NavGroup(label, tuple(items)))
    return tuple(built)


def _url(url_for: UrlFor, endpoint: str, values: Mapping[str, str]) -> str | None:
    try:
        return url_for(endpoint, **values)
    except BuildError:
        return None


def _is_at(endpoint: str | None, entry: str) -> bool:
    # "host.sender" and "host.sender_edit" belong to the entry "host.senders".
    if endpoint is None:
        return False
    one = entry.removesuffix("s")
    return endpoint in (entry, one) or endpoint.startswith((f"{entry}_", f"{one}_"))


def _everything(_endpoint: str) -> bool:
    return True
