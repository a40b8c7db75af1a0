"""`portal apply` on both databases: what it changes, what it leaves, what it refuses."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import func, select

from portal import keys
from portal.app import create_app
from portal.audit.models import AuditEntry
from portal.config import Config
from portal.extensions import db
from portal.identity import members, organizations, passwords, tokens, users
from portal.identity.models import ApiToken, Organization, Role, User
from portal.notifications import routing
from portal.settings import effective, senders
from portal.settings.models import Mode, Sender, VersionState
from portal.settings.scope import HOST, Scope
from tests.portal.cli.commands import invoke
from tests.portal.cli.conftest import EXAMPLE, GLOBEX_PASSWORD, PASSWORD, Write

Settings = dict[str, str]
FIRST = [
    "host: allowed destinations changed",
    "host: sender platform created",
    "host: mail settings changed: display_name, language, retention_days, title_prefix",
    "host: person root@acme.test created",
    "host: system administrator root@acme.test added",
    "host: API token ops created, written to {folder}/ops.token",
    "globex: organization created",
    "globex: sender main created",
    "globex: mail settings changed: fallback, language, mode, title_prefix",
    "globex: person ann@globex.test created",
    "globex: member ann@globex.test added: administrator",
    "globex: person bob@globex.test created",
    "globex: member bob@globex.test added: member",
    "globex: routing added: alert from warning to role:administrator, user:bob@globex.test",
    "globex: API token ci created, written to {folder}/globex-ci.token",
]


@contextmanager
def opened(settings: Settings) -> Iterator[None]:
    """The database after a command."""
    app = create_app(Config.from_environment(settings))
    keys.ensure(app)
    with app.app_context():
        yield
        db.session.remove()
        db.engine.dispose()


def globex() -> Organization:
    found = organizations.by_slug("globex")
    assert found is not None
    return found


def counts() -> dict[str, int | None]:
    tables = (User, Organization, Sender, ApiToken, AuditEntry)
    return {t.__name__: db.session.scalar(select(func.count()).select_from(t)) for t in tables}


def test_the_first_apply_makes_everything_and_says_so(
    settings: Settings, example: Path, folder: Path
) -> None:
    done = invoke(settings, "apply", example)
    assert done.exit_code == 0, done.output
    told = [line for line in done.output.splitlines() if not line.startswith("Made ")]
    assert told == [line.format(folder=folder) for line in FIRST]
    with opened(settings):
        ann, bob, root = map(
            users.by_email, ("ann@globex.test", "bob@globex.test", "root@acme.test")
        )
        assert ann and bob and root
        assert root.is_system_administrator and not ann.is_system_administrator
        assert ann.verified_at and passwords.matches(PASSWORD, ann.password_hash)
        assert (ann.language, bob.language) == ("en", None)
        roles = [members.membership_of(globex(), user) for user in (ann, bob)]
        assert [member.role for member in roles if member] == [Role.ADMINISTRATOR, Role.MEMBER]
        own = effective.settings_of(Scope.of(globex()))
        assert (own.mode, own.title_prefix, own.fallback) == (Mode.OWN, "[Globex]", True)
        assert effective.platform_name() == "Acme Cloud"
        assert [rule.audience for rule in routing.rules_of(globex())] == [
            ["role:administrator", "user:bob@globex.test"]
        ]


def test_senders_of_a_file_are_active_with_their_secret_and_authority(
    settings: Settings, example: Path, folder: Path
) -> None:
    invoke(settings, "apply", example)
    with opened(settings):
        sender = effective.default_sender(Scope.of(globex()))
        assert sender is not None and sender.name == "main"
        active = effective.version_of(sender, VersionState.ACTIVE)
        assert active is not None
        bundle = effective.bundle_of(Scope.of(globex()), sender, active)
        assert bundle.secret == GLOBEX_PASSWORD
        assert bundle.ca == (folder / "globex-ca.pem").read_text()
        assert bundle.owner == str(globex().id)


def test_tokens_are_written_once_for_their_owner_alone(
    settings: Settings, example: Path, folder: Path
) -> None:
    invoke(settings, "apply", example)
    written = {name: (folder / name).read_text() for name in ("ops.token", "globex-ci.token")}
    assert all((folder / name).stat().st_mode & 0o777 == 0o600 for name in written)
    with opened(settings):
        ops = tokens.authenticate(f"Bearer {written['ops.token'].strip()}")
        assert ops is not None and ops.organization is None and ops.scopes == ["read", "configure"]
        ci = tokens.authenticate(f"Bearer {written['globex-ci.token'].strip()}")
        assert ci is not None and ci.organization == globex() and ci.scopes == ["send", "read"]
    (folder / "ops.token").unlink()
    assert invoke(settings, "apply", example).output == "nothing to change\n"
    assert not (folder / "ops.token").exists()


def test_applying_twice_changes_nothing(settings: Settings, example: Path) -> None:
    invoke(settings, "apply", example)
    with opened(settings):
        before = counts()
    second = invoke(settings, "apply", example)
    assert (second.exit_code, second.output) == (0, "nothing to change\n")
    with opened(settings):
        assert counts() == before


def test_a_check_says_what_would_change_and_changes_nothing(
    settings: Settings, example: Path, folder: Path
) -> None:
    invoke(settings, "admin", "create", "first@acme.test", "--password-stdin", typed=PASSWORD)
    with opened(settings):
        before = counts()
    checked = invoke(settings, "apply", example, "--check")
    assert checked.exit_code == 0
    assert checked.output.splitlines() == [
        *(line.format(folder=folder) for line in FIRST),
        "Nothing was changed: this was a check.",
    ]
    with opened(settings):
        assert counts() == before
    assert not list(folder.glob("*.token")) and not list(folder.glob(".*"))


def test_a_change_in_the_file_changes_only_that(settings: Settings, write: Write) -> None:
    text = EXAMPLE.read_text()
    invoke(settings, "apply", write(text))
    changed = text.replace("display_name: Globex Alerts", "display_name: Globex News")
    changed = changed.replace("mode: own", "mode: off").replace("warning", "error")
    changed = changed.replace("name: Globex\n", "name: Globex Corporation\n")
    changed = changed.replace("name: Bob, role: member", "name: Bob Bauer, role: administrator")
    done = invoke(settings, "apply", write(changed))
    assert done.output.splitlines() == [
        "globex: organization renamed",
        "globex: sender main changed",
        "globex: mail settings changed: mode",
        "globex: person bob@globex.test changed",
        "globex: member bob@globex.test changed: administrator",
        "globex: routing changed: alert from error to role:administrator, user:bob@globex.test",
    ]
    with opened(settings):
        assert effective.settings_of(Scope.of(globex())).mode is Mode.OFF
        assert len(routing.rules_of(globex())) == 1
    assert invoke(settings, "apply", write(changed)).output == "nothing to change\n"


def test_a_new_password_in_its_file_is_a_change(
    settings: Settings, example: Path, folder: Path
) -> None:
    invoke(settings, "apply", example)
    (folder / "globex.pw").write_text("another canary\n")
    (folder / "ann.pw").write_text("nine green doors on a hill\n")
    assert invoke(settings, "apply", example).output == "globex: sender main changed\n"
    with opened(settings):
        ann = users.by_email("ann@globex.test")
        assert ann is not None and passwords.matches(PASSWORD, ann.password_hash)


def test_what_is_not_in_the_file_stays(settings: Settings, example: Path, write: Write) -> None:
    invoke(settings, "apply", example)
    small = write("organizations:\n- slug: globex\n  mail: {title_prefix: ~}\n")
    assert (
        invoke(settings, "apply", small).output == "globex: mail settings changed: title_prefix\n"
    )
    with opened(settings):
        assert senders.find(HOST, "platform") and senders.find(Scope.of(globex()), "main")
        assert globex().name == "Globex"
        assert len(routing.rules_of(globex())) == 1
        assert effective.settings_of(Scope.of(globex())).mode is Mode.OWN


def test_an_inactive_sender_of_a_file_is_a_draft_and_an_operator_may_make_it_the_default(
    settings: Settings, write: Write
) -> None:
    sender = (
        "  - {name: %s, display_name: A, from_address: a@a.test, server: s.a.test, active: off}\n"
    )
    file = write(f"host:\n  mail: {{default_sender: b}}\n  senders:\n{sender % 'a'}{sender % 'b'}")
    assert "host: sender a created\n" in invoke(settings, "apply", file).output
    assert invoke(settings, "apply", file).output == "nothing to change\n"
    with opened(settings):
        found = effective.default_sender(HOST)
        assert found is not None and found.name == "b"
        assert [version.state for version in found.versions] == [VersionState.DRAFT]


def test_a_file_that_allows_own_senders_allows_those_beside_it(
    settings: Settings, write: Write
) -> None:
    sender = "{name: a, display_name: A, from_address: a@a.test, server: s.a.test, active: off}"
    locked = write("organizations:\n- {slug: globex, mail: {own_senders_allowed: false}}\n")
    assert invoke(settings, "apply", locked).exit_code == 0
    refused = invoke(
        settings, "apply", write(f"organizations:\n- slug: globex\n  senders: [{sender}]")
    )
    assert refused.exit_code != 0 and "does not allow own senders" in refused.output
    mail = "mail: {own_senders_allowed: true}"
    text = f"organizations:\n- slug: globex\n  {mail}\n  senders: [{sender}]"
    assert invoke(settings, "apply", write(text)).output.splitlines() == [
        "globex: mail settings changed: own_senders_allowed",
        "globex: sender a created",
    ]
    # What was there before it was forbidden stays, so that the file can be applied again.
    invoke(settings, "apply", locked)
    again = write(f"organizations:\n- slug: globex\n  senders: [{sender}]")
    assert invoke(settings, "apply", again).output == "nothing to change\n"


def test_a_sender_of_a_file_is_switched_off_with_enabled_and_not_with_active(
    settings: Settings, write: Write
) -> None:
    sender = "{name: a, display_name: %s, from_address: a@a.test, server: s.a.test%s}"

    def applied(name: str, more: str = "") -> str:
        file = write(f"host:\n  senders: [{sender % (name, more)}]\n")
        return invoke(settings, "apply", file).output

    assert applied("A").endswith("host: sender a created\n")
    refused = applied("A", ", active: false")
    assert "active: This sender is active. Switch it off with enabled: false." in refused
    assert applied("A", ", enabled: false") == "host: sender a disabled\n"
    assert applied("A", ", enabled: false") == "nothing to change\n"
    assert "enabled: false" in invoke(settings, "export").output
    assert applied("A", ", enabled: true") == "host: sender a enabled\n"
    draft = "host: sender a changed, as a draft: it sends on with what is active\n"
    assert applied("B", ", active: false") == draft
    assert applied("B", ", active: false") == "nothing to change\n"


def test_a_secret_comes_from_the_environment_too(settings: Settings, write: Write) -> None:
    text = EXAMPLE.read_text().replace("password_file: globex.pw", "password_env: GLOBEX_PASSWORD")
    given = {**settings, "GLOBEX_PASSWORD": GLOBEX_PASSWORD}
    assert invoke(given, "apply", write(text)).exit_code == 0
    assert invoke(given, "apply", write(text)).output == "nothing to change\n"


def test_no_secret_is_told_or_stored_in_clear(
    settings: Settings, example: Path, folder: Path, tmp_path: Path
) -> None:
    done = invoke(settings, "apply", example)
    token = (folder / "globex-ci.token").read_text().strip()
    with opened(settings):
        audit = [entry.changes for entry in db.session.scalars(select(AuditEntry))]
    stored = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    stored += [path.read_bytes() for path in tmp_path.glob("*.sqlite3*")]
    for secret in (GLOBEX_PASSWORD, PASSWORD, token):
        assert secret not in done.output
        assert secret not in json.dumps(audit)
        assert not [content for content in stored if secret.encode() in content]


def test_an_empty_database_is_migrated_first(tmp_path: Path, write: Write) -> None:
    settings = {"PORTAL_DATA_DIR": str(tmp_path / "new")}
    done = invoke(settings, "apply", write("organizations:\n- {slug: acme, name: Acme}\n"))
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == "acme: organization created"
    assert f"Made {tmp_path}/new/encryption-keys." in done.output


def test_secrets_that_others_can_read_are_told_with_the_cure(
    settings: Settings, example: Path, folder: Path
) -> None:
    (folder / "globex.pw").chmod(0o644)
    (folder / "ann.pw").chmod(0o640)
    for arguments in (("--check",), ()):
        done = invoke(settings, "apply", *arguments, example)
        assert done.exit_code == 0, done.output
        told = [line for line in done.stderr.splitlines() if line.startswith("Warning:")]
        assert told == [
            f"Warning: others on this machine can read {path}. Run: chmod 600 {path}"
            for path in (folder / "globex.pw", folder / "ann.pw")
        ]
