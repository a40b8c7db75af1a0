"""Nobody gets the secret of another scope by the name of an organization, a sender or a token."""

from pathlib import Path
from stat import S_IMODE

import pytest
from flask import Flask

from portal import keys
from portal.app import create_app
from portal.audit.log import OPERATOR
from portal.cli.settings_file.beside import stem
from portal.config import Config
from portal.extensions import db
from portal.identity.models import Organization
from portal.settings import effective, senders
from portal.settings.models import VersionState
from portal.settings.scope import HOST, Scope
from portal.settings.senders import Keep
from tests import smtp_certificates
from tests.databases import EngineName
from tests.portal.cli.commands import invoke
from tests.portal.cli.conftest import Write

Settings = dict[str, str]
SQLITE_ALONE = pytest.mark.parametrize("engine_name", [EngineName.SQLITE])

SENDER = """
      - {{name: {name}, display_name: Mail, from_address: a@{server}, server: {server}, port: 587,
         encryption: starttls, authentication: password, username: u, password_file: {file}.pw,
         ca_file: globex-ca.pem}}
"""
# Scope, name of its sender, and the file of its password.
SCOPES = (("host", "main"), ("alpha", "b-main"), ("alpha-b", "main"))


def text_of(scopes: tuple[tuple[str, str], ...], *, token: str = "") -> str:
    """A settings file with one sender for each, the first of them the host."""
    parts = []
    for slug, name in scopes:
        sender = SENDER.format(name=name, server=f"{slug}.test", file=f"in-{slug}").strip("\n")
        if slug == "host":
            parts.append(f"host:\n    senders:\n{sender}\norganizations:")
        else:
            parts.append(f"  - slug: {slug}\n    senders:\n{sender}{token}")
    return "\n".join(parts) + "\n"


@SQLITE_ALONE
def test_every_scope_has_files_of_its_own(settings: Settings, write: Write, folder: Path) -> None:
    for slug, _ in SCOPES:
        (folder / f"in-{slug}.pw").write_text(f"canary of {slug}\n")
    token = "\n    api_tokens:\n      - {name: ci, scopes: [read], token_file: TOKEN}"
    text = text_of(SCOPES, token=token)
    for file in ("one.token", "two.token"):
        text = text.replace("TOKEN", file, 1)
    assert invoke(settings, "apply", write(text)).exit_code == 0
    add_organization_called_host(settings)

    file = folder / "export.yaml"
    assert invoke(settings, "export", file).exit_code == 0
    named = [line.strip().removeprefix("# ") for line in file.read_text().splitlines()]
    files = [line for line in named if line.partition(":")[0].endswith("_file")]
    expected = [
        f"{key}: {place}"
        for stem_of in (
            "host/main",
            "organizations/alpha/b-main",
            "organizations/alpha-b/main",
            "organizations/host/main",
        )
        for key, place in (
            ("ca_file", f"{stem_of}-ca.pem"),
            ("password_file", f"{stem_of}.pw"),
        )
    ]
    tokens = [f"token_file: organizations/{slug}/ci.token" for slug in ("alpha", "alpha-b")]
    assert sorted(files) == sorted(expected + tokens)
    for name in ("host", "organizations", "organizations/alpha", "organizations/alpha-b"):
        assert S_IMODE((folder / name).stat().st_mode) == 0o700
    assert invoke(settings, "apply", file).output == "nothing to change\n"


@SQLITE_ALONE
def test_a_secret_file_that_two_scopes_name_is_refused(
    settings: Settings, write: Write, folder: Path
) -> None:
    (folder / "in-host.pw").write_text("canary of host\n")
    text = text_of(SCOPES[:2]).replace("in-alpha.pw", "./in-host.pw")
    file = write(text)
    refused = invoke(settings, "apply", file)
    assert refused.exit_code == 1
    assert refused.stderr == (
        f"Error: {file}:10: organizations[0].senders[0].password_file: ./in-host.pw is named on "
        "line 4 too, by the host. Name a file of its own here.\n"
    )


@SQLITE_ALONE
def test_two_tokens_do_not_go_to_one_file(settings: Settings, write: Write) -> None:
    token = "{{name: {}, scopes: [read], token_file: ci.token}}"
    file = write(
        f"organizations:\n  - slug: alpha\n    api_tokens:\n      - {token.format('a')}\n"
        f"      - {token.format('b')}\n"
    )
    refused = invoke(settings, "apply", file)
    assert refused.stderr.startswith(f"Error: {file}:5: organizations[0].api_tokens[1].token_file:")
    assert "ci.token is named on line 4 too, by organization alpha." in refused.stderr


@SQLITE_ALONE
def test_the_version_that_sends_is_exported_and_a_draft_goes_on_waiting(
    settings: Settings, write: Write, folder: Path
) -> None:
    (folder / "in-host.pw").write_text("canary of host\n")
    invoke(settings, "apply", write(text_of(SCOPES[:1])))
    before = invoke(settings, "export").output
    with application(settings).app_context():
        sender = senders.find(HOST, "main")
        assert sender is not None
        raw = {"display_name": "Not tested", "reply_to": "r@draft.test"}
        senders.save(
            HOST, "main", raw, secret=Keep(), actor=OPERATOR, sender=sender, activate=False
        )
        db.session.commit()
        closed()

    file = folder / "export.yaml"
    invoke(settings, "export", file)
    text = file.read_text()
    assert "draft.test" not in text
    assert "active: false" not in text
    note = "      # These are the values that it sends with. A draft of it was left out.\n"
    assert text.count(note) == 1
    assert text.replace(note, "") == before.replace("# ca_file", "ca_file")

    assert invoke(settings, "apply", file).output == "nothing to change\n"
    assert states(settings) == {VersionState.ACTIVE: None, VersionState.DRAFT: "r@draft.test"}
    activating = write("host:\n  senders:\n    - {name: main, active: true}\n")
    assert invoke(settings, "apply", activating).output == "host: sender main changed\n"
    assert states(settings)[VersionState.ACTIVE] == "r@draft.test"


@pytest.mark.parametrize(
    ("one", "other"),
    [("a b", "a_b"), ("a/b", "a%2Fb"), ("a+b@x.test", "a_b@x.test"), ("邮" * 99 + "a", "邮" * 100)],
)
def test_different_names_have_different_files(one: str, other: str) -> None:
    assert stem(one) != stem(other)
    assert all(len(stem(name)) < 200 and "/" not in stem(name) for name in (one, other))


def add_organization_called_host(settings: Settings) -> None:
    """One from before that short name was kept for the platform."""
    with application(settings).app_context():
        organization = Organization(name="Host", slug="host")
        db.session.add(organization)
        db.session.flush()
        raw = {
            "display_name": "Mail",
            "from_address": "a@x.test",
            "server": "x.test",
            "port": 587,
            "encryption": "starttls",
            "authentication": "password",
            "username": "u",
            "ca": smtp_certificates.valid().ca,
        }
        senders.save(
            Scope.of(organization),
            "main",
            raw,
            secret=senders.Replace("canary"),
            actor=OPERATOR,
            activate=True,
        )
        db.session.commit()
        closed()


def states(settings: Settings) -> dict[VersionState, str | None]:
    """The Reply-To of each version of the host's sender that counts."""
    with application(settings).app_context():
        sender = senders.find(HOST, "main")
        assert sender is not None
        found = {
            state: version.reply_to
            for state in (VersionState.ACTIVE, VersionState.DRAFT)
            if (version := effective.version_of(sender, state))
        }
        closed()
    return found


def application(settings: Settings) -> Flask:
    app = create_app(Config.from_environment(settings))
    keys.ensure(app)
    return app


def closed() -> None:
    db.session.remove()
    db.engine.dispose()
