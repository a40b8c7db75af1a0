"""What `portal apply` refuses: each mistake with its line, and nothing is changed."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from portal import keys
from portal.app import create_app
from portal.config import Config
from portal.extensions import db
from portal.identity.models import ApiToken, Organization, User
from portal.settings.models import Sender
from tests.databases import EngineName
from tests.portal.cli.commands import invoke
from tests.portal.cli.conftest import EXAMPLE, Write

Settings = dict[str, str]
SQLITE_ALONE = pytest.mark.parametrize("engine_name", [EngineName.SQLITE])

# A change of the example file, and what is told of it: line and words.
REFUSED: dict[str, tuple[str, str, str]] = {
    "a misspelled key": (
        "username:",
        "usernmae:",
        "17: unknown key 'usernmae' in organizations[0].senders[0]; did you mean 'username'?",
    ),
    "a port that is none": ("port: 587", "port: 70000", "16: organizations[0].senders[0].port: "),
    "an encryption that is none": (
        "encryption: starttls",
        "encryption: tsl",
        "17: organizations[0].senders[0].encryption: Choose one of none, starttls, tls.",
    ),
    "an address with a line break": (
        "from_address: alerts@globex.test",
        'from_address: "alerts@globex.test\\nBcc: x@y.test"',
        "16: organizations[0].senders[0].from_address: Remove the line break",
    ),
    "an address of the platform": (
        "from_address: alerts@globex.test",
        "from_address: No-Reply@acme.test",
        "16: organizations[0].senders[0].from_address: No-Reply@acme.test is the platform's own",
    ),
    "a display name that hides an address": (
        "display_name: Globex Alerts",
        'display_name: "ceo@bank.test"',
        "16: organizations[0].senders[0].display_name: Leave out @",
    ),
    "a password in clear": (
        "encryption: starttls",
        "encryption: none",
        "17: organizations[0].senders[0].encryption: The password would cross the network in clear",
    ),
    "a certificate that nobody verifies": (
        "encryption: starttls",
        "verify: false, encryption: starttls",
        "17: organizations[0].senders[0].verify: Certificates of an organization's sender",
    ),
    "a password without authentication": (
        "authentication: password, ",
        "",
        "16: organizations[0].senders[0].authentication: There is a password, so write",
    ),
    "authentication without a password": (
        "password_file: globex.pw, ",
        "",
        "16: organizations[0].senders[0].password_file: Enter the password",
    ),
    "an allowed From that is none": (
        "ca_file:",
        "allowed_from: [a@globex.test, '@'], ca_file:",
        "17: organizations[0].senders[0].allowed_from: '@' is neither an address nor a domain.",
    ),
    "an authentication without what it needs": (
        "authentication: password",
        "authentication: oauth2_client_credentials, client_id: portal",
        "16: organizations[0].senders[0].token_url: Enter the token URL",
    ),
    "a secret of another authentication": (
        "authentication: password",
        "authentication: oauth2_client_credentials, client_id: portal, "
        "token_url: https://login.test/token",
        "17: organizations[0].senders[0].password_file: With authentication "
        "oauth2_client_credentials the secret is called client_secret.",
    ),
    "a kind that is none": (
        "ca_file:",
        "kinds: [alarm], ca_file:",
        "17: organizations[0].senders[0].kinds: There is no kind 'alarm'. Known: alert, approval",
    ),
    "a kind that goes by the host's sender": (
        "ca_file:",
        "kinds: [alert, security.invitation], ca_file:",
        "17: organizations[0].senders[0].kinds: Leave out security.invitation: security mail "
        "always goes by the platform's sender. Known: alert, approval",
    ),
    "a sender's name of dots": (
        "name: main",
        "name: ..",
        "16: organizations[0].senders[0].name: Name this sender with a letter or a digit",
    ),
    "a secret file that is not there": (
        "password_file: globex.pw",
        "password_file: other.pw",
        "17: organizations[0].senders[0].password_file: {folder}/other.pw cannot be read: "
        "No such file or directory.",
    ),
    "an authority that is none": (
        "ca_file: globex-ca.pem",
        "ca_file: globex.pw",
        "17: organizations[0].senders[0].ca_file: Paste a certificate",
    ),
    "a variable that is not set": (
        "password_file: globex.pw",
        "password_env: NOT_SET_ANYWHERE",
        "17: organizations[0].senders[0].password_env: The environment variable "
        "NOT_SET_ANYWHERE is not set.",
    ),
    "a secret from two places": (
        "password_file: globex.pw",
        "password_file: globex.pw, password_env: HOME",
        "17: organizations[0].senders[0].password_env: Give password_file or password_env",
    ),
    "a default sender that is not there": (
        "default_sender: main",
        "default_sender: other",
        "14: organizations[0].mail.default_sender: There is no sender named other here.",
    ),
    "a language that is not spoken": (
        "language: zh",
        "language: fr",
        "14: organizations[0].mail.language: Choose one of en, zh.",
    ),
    "a mode that is none": (
        "mode: own",
        "mode: mine",
        "14: organizations[0].mail.mode: Choose one of inherit, own, off.",
    ),
    "a role that is none": (
        "role: member",
        "role: boss",
        "20: organizations[0].members[1].role: Write one of administrator, member.",
    ),
    "a person without an address": (
        "email: ann@globex.test",
        "email: ann",
        "19: organizations[0].members[0].email: Enter an email address",
    ),
    "a password that is too short": (
        "password_file: bob.pw",
        "password_file: short.pw",
        "20: organizations[0].members[1].password_file: Choose at least 12 characters",
    ),
    "a person with two names": (
        "{email: bob@globex.test",
        "{email: ann@globex.test, name: Anna, role: administrator}\n"
        "      - {email: bob@globex.test",
        "20: organizations[0].members[1].name: The same person has another name on line 19.",
    ),
    "a category that is not routed": (
        "category: alert",
        "category: weather",
        "22: organizations[0].routing[0].category: Choose a category that is routed: alert.",
    ),
    "an audience that is none": (
        '"role:administrator"',
        '"role:king"',
        "22: organizations[0].routing[0].audience: Use role:administrator or role:member.",
    ),
    "a scope that is none": (
        "scopes: [send, read]",
        "scopes: [all]",
        "24: organizations[0].api_tokens[0].scopes: Choose at least one of",
    ),
    "a token file that holds something else": (
        "token_file: globex-ci.token",
        "token_file: ann.pw",
        "24: organizations[0].api_tokens[0].token_file: {folder}/ann.pw exists and holds no token.",
    ),
    "a token file in no folder": (
        "token_file: globex-ci.token",
        "token_file: no/where.token",
        "24: organizations[0].api_tokens[0].token_file: The folder {folder}/no does not exist.",
    ),
    "a slug that is none": (
        "slug: globex",
        "slug: Globex Inc",
        "12: organizations[0].slug: Use 1 to 63 lower-case letters",
    ),
    "a destination that is none": (
        '"relay.acme.local:25"',
        '"relay.acme.local"',
        "3: host.allowed_destinations: ",
    ),
}


def rows(settings: Settings) -> list[int | None]:
    app = create_app(Config.from_environment(settings))
    keys.ensure(app)
    with app.app_context():
        tables = (User, Organization, Sender, ApiToken)
        found = [db.session.scalar(select(func.count()).select_from(table)) for table in tables]
        db.session.remove()
        db.engine.dispose()
    return found


@SQLITE_ALONE
@pytest.mark.parametrize(("old", "new", "told"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_told_with_its_line_and_nothing_changes(
    settings: Settings, folder: Path, write: Write, old: str, new: str, told: str
) -> None:
    (folder / "short.pw").write_text("short\n")
    text = EXAMPLE.read_text()
    assert text.count(old) >= 1
    head, _, tail = text.rpartition(old)
    file = write(head + new + tail)
    refused = invoke(settings, "apply", file)
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"Error: {file}:{told.format(folder=folder)}")
    assert len(refused.stderr.splitlines()) == 1
    assert rows(settings) == [0, 0, 0, 0]
    assert not list(folder.glob("*.token"))


@SQLITE_ALONE
def test_a_check_refuses_what_apply_refuses(settings: Settings, write: Write) -> None:
    invoke(settings, "token", "create", "--name", "first", "--scope", "read")
    file = write(EXAMPLE.read_text().replace("mode: own", "mode: mine"))
    assert invoke(settings, "apply", file, "--check").exit_code == 1


@SQLITE_ALONE
def test_a_changed_server_asks_for_the_password_again(
    settings: Settings, example: Path, write: Write
) -> None:
    """The stored password is not sent to a server that it was not given for."""
    invoke(settings, "apply", example)
    text = EXAMPLE.read_text().replace("server: smtp.globex.test", "server: smtp.evil.test")
    refused = invoke(settings, "apply", write(text.replace("password_file: globex.pw, ", "")))
    assert refused.exit_code == 1
    assert "senders[0].password_file: Enter the password again: the stored one goes to" in (
        refused.stderr
    )


@SQLITE_ALONE
def test_the_last_administrator_stays_one(settings: Settings, write: Write) -> None:
    invoke(settings, "apply", write(EXAMPLE.read_text()))
    demoted = EXAMPLE.read_text().replace("role: administrator", "role: member", 1)
    refused = invoke(settings, "apply", write(demoted))
    assert refused.exit_code == 1
    assert "organizations[0].members[0].role: Ann is the last Administrator" in refused.stderr
    swapped = demoted.replace("name: Bob, role: member", "name: Bob, role: administrator")
    assert invoke(settings, "apply", write(swapped)).exit_code == 0


@SQLITE_ALONE
def test_a_file_that_is_not_there_is_told(settings: Settings, tmp_path: Path) -> None:
    refused = invoke(settings, "apply", tmp_path / "none.yaml")
    assert refused.exit_code == 1
    assert refused.stderr == (
        f"Error: {tmp_path}/none.yaml:1: The file cannot be read: No such file or directory.\n"
    )


@SQLITE_ALONE
def test_all_mistakes_of_a_file_are_told_at_once(
    settings: Settings, folder: Path, write: Write
) -> None:
    text = EXAMPLE.read_text()
    for old, new in (
        ("ca_file: globex-ca.pem", "ca_file: globex.pw"),
        ("language: zh", "language: fr"),
        ("password_file: bob.pw", "password_file: other.pw"),
        ("scopes: [send, read]", "scopes: [all]"),
        ('"relay.acme.local:25"', '"relay.acme.local"'),
    ):
        head, _, tail = text.rpartition(old)
        text = head + new + tail
    file = write(text)
    result = invoke(settings, "apply", file)
    assert result.exit_code == 1
    lines = result.stderr.removeprefix("Error: ").splitlines()
    told = [line.removeprefix(f"{file}:").partition(": ")[2].partition(": ")[0] for line in lines]
    assert told == [
        "host.allowed_destinations",
        "organizations[0].mail.language",
        # That the default sender, which has a mistake, is not there says nothing new.
        "organizations[0].senders[0].ca_file",
        "organizations[0].members[1].password_file",
        "organizations[0].api_tokens[0].scopes",
    ]
    assert rows(settings) == [0, 0, 0, 0]
