"""A settings file laid over the database: creates and changes, never deletes; all or nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from portal.audit.log import OPERATOR
from portal.cli.settings_file import people, routing, sending
from portal.cli.settings_file.document import Section
from portal.cli.settings_file.places import located
from portal.identity import organizations
from portal.identity.models import Organization
from portal.settings import changes
from portal.settings.scope import HOST, Scope


@dataclass
class Applied:
    """What was changed in the session, a line each, and the tokens that were made, by file."""

    lines: list[str] = field(default_factory=list)
    tokens: dict[Path, str] = field(default_factory=dict)

    def add(self, place: str, lines: list[str]) -> None:
        self.lines += [f"{place}: {line}" for line in lines]

    def add_tokens(self, place: str, tokens: dict[Path, str]) -> None:
        self.tokens |= tokens
        self.add(place, [f"API token created, written to {path}" for path in tokens])


def apply(document: Section, *, folder: Path) -> Applied:
    """Change the session; the caller commits. Raises Wrong, after which nothing may be committed.

    `folder` is where the file lies: paths in it are relative to that.
    """
    # One file at a time: a second one waits here.
    changes.locked(HOST)
    people.check_consistent(_people(document))
    applied = Applied()
    _apply_host(document.section("host"), folder, applied)
    for section in document.sections("organizations"):
        _apply_organization(section, folder, applied)
    return applied


def _apply_host(section: Section, folder: Path, applied: Applied) -> None:
    if "allowed_destinations" in section.values:
        with located(section):
            entries = list(section.values["allowed_destinations"])
            if changes.save_allowed_destinations(entries, actor=OPERATOR):
                applied.add("host", ["allowed destinations changed"])
    applied.add("host", sending.apply_senders(HOST, section.sections("senders"), folder))
    applied.add("host", sending.apply_mail(HOST, section.section("mail")))
    administrators = section.sections("administrators")
    applied.add("host", people.apply_administrators(administrators, folder))
    tokens = people.apply_tokens(None, section.sections("api_tokens"), folder)
    applied.add_tokens("host", tokens)


def _apply_organization(section: Section, folder: Path, applied: Applied) -> None:
    organization, lines = _organization(section)
    scope = Scope.of(organization)
    place = organization.slug
    applied.add(place, lines)
    applied.add(place, sending.apply_senders(scope, section.sections("senders"), folder))
    applied.add(place, sending.apply_mail(scope, section.section("mail")))
    applied.add(place, people.apply_members(organization, section.sections("members"), folder))
    applied.add(place, routing.apply_routing(organization, section.sections("routing")))
    tokens = people.apply_tokens(organization, section.sections("api_tokens"), folder)
    applied.add_tokens(place, tokens)


def _organization(section: Section) -> tuple[Organization, list[str]]:
    slug, name = section.values["slug"], section.get("name")
    organization = organizations.by_slug(slug)
    with located(section):
        if organization is None:
            made = organizations.create(name=name or slug, short_name=slug, actor=OPERATOR)
            return made, ["organization created"]
        if name and name != organization.name:
            organizations.rename(organization, name=name, actor=OPERATOR)
            return organization, ["organization renamed"]
    return organization, []


def _people(document: Section) -> Iterator[Section]:
    yield from document.section("host").sections("administrators")
    for section in document.sections("organizations"):
        yield from section.sections("members")
