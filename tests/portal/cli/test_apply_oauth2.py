"""`portal apply` with OAuth2: secrets from files, bound to their destination, never turned back."""

from pathlib import Path

import pytest

from portal.extensions import db
from portal.settings import effective, rotation, senders
from portal.settings.scope import HOST
from tests import smtp_certificates
from tests.portal.cli.commands import invoke
from tests.portal.cli.conftest import Write
from tests.portal.cli.test_apply import opened

Settings = dict[str, str]
FILE = """\
host:
  senders:
    - name: mail
      display_name: Mail
      from_address: mail@acme.test
      server: smtp.acme.test
      username: mail@acme.test
      authentication: oauth2_refresh_token
      client_id: portal
      token_url: https://login.test/token
      scope: mail
"""
SECRETS = """\
      client_secret_file: client.pw
      refresh_token_file: refresh.pw
"""
CHANGES = {
    "server": "smtp.evil.test",
    "port": "2525",
    "encryption": "tls",
    "verify": "false",
    "ca_file": "ca.pem",
    "username": "root@acme.test",
    "client_id": "another",
    "token_url": "https://evil.test/token",
    "scope": "everything",
    "authentication": "oauth2_client_credentials",
}


@pytest.fixture
def whole(write: Write, folder: Path) -> str:
    (folder / "client.pw").write_text("client canary\n")
    (folder / "refresh.pw").write_text("refresh canary\n")
    (folder / "ca.pem").write_text(smtp_certificates.authority_pem())
    return FILE + SECRETS


def changed(text: str, key: str) -> str:
    lines = [line for line in text.splitlines() if not line.strip().startswith(f"{key}:")]
    return "\n".join([*lines, f"      {key}: {CHANGES[key]}", ""])


@pytest.mark.parametrize("key", CHANGES)
def test_a_changed_destination_needs_the_secret_files_again(
    settings: Settings, write: Write, whole: str, key: str
) -> None:
    assert invoke(settings, "apply", write(whole)).exit_code == 0
    refused = invoke(settings, "apply", write(changed(FILE, key)))
    assert refused.exit_code == 1
    assert "client_secret_file: Enter the client secret" in refused.stderr
    assert "canary" not in refused.stderr
    assert invoke(settings, "apply", write(whole)).output == "nothing to change\n"


def test_without_the_files_stored_secrets_stay(
    settings: Settings, write: Write, whole: str
) -> None:
    invoke(settings, "apply", write(whole))
    assert invoke(settings, "apply", write(FILE)).output == "nothing to change\n"


def test_a_token_that_rotated_is_not_turned_back_by_its_file(
    settings: Settings, write: Write, folder: Path, whole: str
) -> None:
    invoke(settings, "apply", write(whole))
    with opened(settings):
        sender = senders.find(HOST, "mail")
        assert sender is not None
        rotation.store(senders.shown_version(sender).id, "refresh canary", "second")
        db.session.commit()
    assert invoke(settings, "apply", write(whole)).output == "nothing to change\n"
    (folder / "client.pw").write_text("new client canary\n")
    assert invoke(settings, "apply", write(whole)).output == "host: sender mail changed\n"
    assert tokens_of(settings) == ("new client canary", "second")
    (folder / "refresh.pw").write_text("another canary\n")
    assert invoke(settings, "apply", write(whole)).output == "host: sender mail changed\n"
    assert tokens_of(settings) == ("new client canary", "another canary")


def test_kinds_and_the_end_of_a_client_secret_are_taken(
    settings: Settings, write: Write, whole: str
) -> None:
    more = whole + "      kinds: [approval, alert]\n      client_secret_expires_at: 2027-05-31\n"
    invoke(settings, "apply", write(more))
    with opened(settings):
        sender = senders.find(HOST, "mail")
        assert sender is not None
        assert sender.kinds == ["alert", "approval"]
        ends = senders.shown_version(sender).client_secret_expires_at
        assert ends is not None and ends.isoformat() == "2027-05-31T00:00:00+00:00"
    assert invoke(settings, "apply", write(more)).output == "nothing to change\n"


def tokens_of(settings: Settings) -> tuple[str | None, str | None]:
    with opened(settings):
        sender = senders.find(HOST, "mail")
        assert sender is not None
        bundle = effective.bundle_of(HOST, sender, senders.shown_version(sender))
        return bundle.secret, bundle.refresh_token
