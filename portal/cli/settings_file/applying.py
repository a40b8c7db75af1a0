"""A settings file laid over the database: creates and changes, never deletes; all or nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from portal.audit.log import OPERATOR
from portal.cli.settings_file import ownership, people, routing, sending
from portal.cli.settings_file.document import Section
from portal.cli.settings_file.mistakes import Mistakes
from portal.cli.settings_file.people import MadeToken
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

    def add_tokens(self, place: str, tokens: dict[Path, MadeToken]) -> None:
        self.tokens |= {path: token.secret for path, token in tokens.items()}
        self.add(
            place,
            [f"API token {made.name} created, written to {path}" for path, made in tokens.items()],
        )


def apply(document: Section, *, folder: Path) -> Applied:
    """Change the session; the caller commits. Raises Wrong with every mistake, after which nothing
    may be committed.

    `folder` is where the file lies: paths in it are relative to that.
    """
    # One file at a time: a second one waits here.
    changes.locked(HOST)
    applied, mistakes = Applied(), Mistakes()
    with mistakes.gathered():
        people.check_consistent(_people(document))
    with mistakes.gathered():
        ownership.check(document, folder)
    _apply_host(document.section("host"), folder, applied, mistakes)
    for section in document.sections("organizations"):
        _apply_organization(section, folder, applied, mistakes)
    mistakes.refuse()
    return applied


def _apply_host(section: Section, folder: Path, applied: Applied, mistakes: Mistakes) -> None:
    with mistakes.gathered(), located(section):
        entries = section.get("allowed_destinations")
        if "allowed_destinations" in section.values and changes.save_allowed_destinations(
            list(entries), actor=OPERATOR
        ):
            applied.add("host", ["allowed destinations changed"])
    _apply_sending(HOST, section, folder, applied, mistakes)
    for person in section.sections("administrators"):
        with mistakes.gathered():
            applied.add("host", people.apply_administrator(person, folder))
    for token in section.sections("api_tokens"):
        with mistakes.gathered():
            applied.add_tokens("host", people.apply_token(None, token, folder))


def _apply_organization(
    section: Section, folder: Path, applied: Applied, mistakes: Mistakes
) -> None:
    found: list[Organization] = []
    with mistakes.gathered():
        organization, lines = _organization(section)
        found.append(organization)
        applied.add(organization.slug, lines)
    for organization in found:
        place = organization.slug
        _apply_sending(Scope.of(organization), section, folder, applied, mistakes)
        for person in people.administrators_first(section.sections("members")):
            with mistakes.gathered():
                applied.add(place, people.apply_member(organization, person, folder))
        with mistakes.gathered():
            applied.add(place, routing.apply_routing(organization, section.sections("routing")))
        for token in section.sections("api_tokens"):
            with mistakes.gathered():
                applied.add_tokens(place, people.apply_token(organization, token, folder))


def _apply_sending(
    scope: Scope, section: Section, folder: Path, applied: Applied, mistakes: Mistakes
) -> None:
    before = len(mistakes)
    mail = section.section("mail")
    with mistakes.gathered():
        applied.add(_name(section), sending.lift_lock(scope, mail))
    for sender in section.sections("senders"):
        with mistakes.gathered():
            applied.add(_name(section), sending.apply_sender(scope, sender, folder))
    # A default sender with a mistake is not there: that says nothing new.
    follows = (mail.place("default_sender"),) if len(mistakes) > before else ()
    with mistakes.gathered(but=follows):
        applied.add(_name(section), sending.apply_mail(scope, mail, folder))


def _name(section: Section) -> str:
    return section.get("slug") or "host"


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
