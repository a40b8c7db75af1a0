"""`portal export`: what it writes can be applied again, here and elsewhere, and holds no secret."""

import re
from pathlib import Path

import pytest

from tests.portal.cli.commands import invoke
from tests.portal.cli.conftest import EXAMPLE, GLOBEX_PASSWORD, PASSWORD, Write
from tests.portal.smtp.oauth2_setting import private_pem

Settings = dict[str, str]
CANARIES = ("client canary", "refresh canary", "BEGIN PRIVATE KEY", GLOBEX_PASSWORD, PASSWORD)
OAUTH2 = """
      - {name: m365, display_name: "Globex: mail", from_address: m@globex.test, server: smtp.office365.com,
         authentication: oauth2_client_credentials, client_id: portal, client_secret_file: client.pw,
         client_secret_expires_at: 2027-05-31, token_url: "https://login.test/t/token",
         scope: "https://outlook.office.com/.default", kinds: [approval, alert.raised], priority: 5,
         allowed_from: [alerts@globex.test, "@ops.globex.test"]}
      - {name: google, display_name: "off", from_address: g@globex.test, server: smtp.gmail.com,
         authentication: oauth2_service_account, client_id: p@project.test, private_key_file: google.key}
      - {name: "own & more", display_name: "12", from_address: r@globex.test, server: "2001:db8::25",
         port: 2525, authentication: oauth2_refresh_token, client_id: "0123", per_minute: 20, active: false,
         client_secret_file: client.pw, refresh_token_file: refresh.pw, token_url: "https://login.test/t"}
"""  # noqa: E501


@pytest.fixture
def everything(write: Write, folder: Path) -> Path:
    """The example with a sender of every authentication."""
    (folder / "client.pw").write_text("client canary\n")
    (folder / "refresh.pw").write_text("refresh canary\n")
    (folder / "google.key").write_text(private_pem())
    text = EXAMPLE.read_text()
    return write(text.replace("    members:", OAUTH2.lstrip("\n") + "    members:", 1))


def test_applying_an_export_again_changes_nothing(
    settings: Settings, everything: Path, folder: Path
) -> None:
    applied = invoke(settings, "apply", everything)
    assert applied.exit_code == 0, applied.output
    assert invoke(settings, "apply", everything).output == "nothing to change\n"

    file = folder / "export.yaml"
    assert invoke(settings, "export", file).exit_code == 0
    assert invoke(settings, "apply", file).output == "nothing to change\n"
    before = file.read_text()
    invoke(settings, "export", file)
    assert file.read_text() == before
    assert (folder / "organizations/globex/main-ca.pem").read_text() == (
        folder / "globex-ca.pem"
    ).read_text()


def test_an_export_holds_no_secret_and_says_where_they_belong(
    settings: Settings, everything: Path
) -> None:
    invoke(settings, "apply", everything)
    text = invoke(settings, "export").output
    assert not [canary for canary in CANARIES if canary in text]
    for line in (
        "# password_file: organizations/globex/main.pw",
        "# client_secret_file: organizations/globex/m365.pw",
        "# private_key_file: organizations/globex/google.key",
        "# refresh_token_file: organizations/globex/own%20%26%20more.refresh",
        "# ca_file: organizations/globex/main-ca.pem",
    ):
        assert line in text, text


def test_an_export_with_its_secrets_makes_the_same_elsewhere(
    settings: Settings, everything: Path, folder: Path, tmp_path: Path
) -> None:
    invoke(settings, "apply", everything)
    first = folder / "first.yaml"
    invoke(settings, "export", first)
    wanted = first.read_text()
    for line in wanted.splitlines():
        key, _, name = line.strip().removeprefix("# ").partition(": ")
        if not line.strip().startswith("# ") or not key.endswith("_file"):
            continue
        (folder / name).write_text(private_pem() if key == "private_key_file" else PASSWORD)
    whole = folder / "whole.yaml"
    whole.write_text(re.sub(r"# (\w+_file: )", r"\1", wanted))
    other = {"PORTAL_DATA_DIR": str(tmp_path / "elsewhere")}
    for token in folder.glob("*.token"):
        token.unlink()
    applied = invoke(other, "apply", whole)
    assert applied.exit_code == 0, applied.output
    second = folder / "second.yaml"
    invoke(other, "export", second)
    assert second.read_text() == wanted


def test_a_file_that_cannot_be_written_is_one_line(settings: Settings, folder: Path) -> None:
    refused = invoke(settings, "export", folder / "nowhere" / "export.yaml")
    assert refused.exit_code == 1
    assert "nowhere/export.yaml cannot be written: No such file or directory." in refused.stderr
