from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import func, select

from portal import keys
from portal.app import create_app
from portal.config import Config
from portal.delivery.models import Delivery
from portal.extensions import db
from portal.identity import passwords, tokens, users
from tests.portal.cli.commands import invoke
from tests.portal.cli.conftest import PASSWORD, Write

Settings = dict[str, str]


@contextmanager
def opened(settings: Settings) -> Iterator[None]:
    app = create_app(Config.from_environment(settings))
    keys.ensure(app)
    with app.app_context():
        yield
        db.session.remove()
        db.engine.dispose()


def test_an_administrator_is_made_with_a_password_from_standard_input(settings: Settings) -> None:
    done = invoke(
        settings, "admin", "create", "Rita@acme.test", "--password-stdin", typed=PASSWORD + "\n"
    )
    assert done.exit_code == 0
    assert "rita@acme.test is a system administrator and can sign in." in done.output
    with opened(settings):
        rita = users.by_email("rita@acme.test")
        assert rita is not None and rita.is_system_administrator and rita.verified_at
        assert passwords.matches(PASSWORD, rita.password_hash)
        assert db.session.scalar(select(func.count()).select_from(Delivery)) == 0


def test_a_typed_password_is_asked_for_twice_and_not_shown(settings: Settings) -> None:
    done = invoke(settings, "admin", "create", "rita@acme.test", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert done.exit_code == 0
    assert "Repeat for confirmation" in done.output
    assert PASSWORD not in done.output


def test_a_weak_password_is_refused_with_the_cure(settings: Settings) -> None:
    done = invoke(settings, "admin", "create", "rita@acme.test", "--password-stdin", typed="short")
    assert done.exit_code == 1
    assert "Choose at least 12 characters" in done.stderr
    with opened(settings):
        assert users.by_email("rita@acme.test") is None


def test_a_person_becomes_an_administrator_and_keeps_the_password(
    settings: Settings, write: Write
) -> None:
    file = write(
        "organizations:\n- slug: acme\n  name: Acme\n  members:\n"
        "  - {email: ann@acme.test, name: Ann, role: member, password_file: ann.pw}\n"
    )
    invoke(settings, "apply", file)
    done = invoke(settings, "admin", "create", "ann@acme.test")
    assert done.exit_code == 0
    with opened(settings):
        ann = users.by_email("ann@acme.test")
        assert ann is not None and ann.is_system_administrator
        assert passwords.matches(PASSWORD, ann.password_hash)
    again = invoke(settings, "admin", "create", "ann@acme.test")
    assert again.exit_code == 1
    assert "is a system administrator already" in again.stderr


def test_a_token_is_printed_once_and_alone_on_standard_output(
    settings: Settings, write: Write
) -> None:
    invoke(settings, "apply", write("organizations:\n- {slug: acme, name: Acme}\n"))
    scope = ("--scope", "send,read")
    of_acme = invoke(settings, "token", "create", "--organization", "acme", "--name", "ci", *scope)
    of_host = invoke(settings, "token", "create", "--name", "ops", *scope)
    with opened(settings):
        found = [
            tokens.authenticate(f"Bearer {done.stdout.strip()}") for done in (of_acme, of_host)
        ]
        assert [token and token.scopes for token in found] == [["send", "read"]] * 2
        slugs = [token.organization and token.organization.slug for token in found if token]
        assert slugs == ["acme", None]


def test_a_token_for_nobody_names_the_organizations_there_are(
    settings: Settings, write: Write
) -> None:
    invoke(settings, "apply", write("organizations:\n- {slug: acme, name: Acme}\n"))
    arguments = ("--organization", "acne", "--name", "ci", "--scope", "send")
    done = invoke(settings, "token", "create", *arguments)
    assert done.exit_code == 1
    assert done.stderr == "Error: There is no organization acne. There are: acme.\n"
