"""A logo in a settings file: a file beside it, there and back."""

from pathlib import Path

from tests.images import JPEG, LOGO
from tests.portal.cli.commands import invoke
from tests.portal.cli.conftest import Write

Settings = dict[str, str]
FILE = """
host:
  mail: {title_prefix: "[Cloud]", logo_file: cloud.png}
organizations:
  - slug: globex
    mail: {logo_file: globex.jpg}
  - slug: acme
    mail: {language: zh}
"""


def test_logos_are_applied_exported_and_removed(
    settings: Settings, write: Write, folder: Path, tmp_path: Path
) -> None:
    (folder / "cloud.png").write_bytes(LOGO)
    (folder / "globex.jpg").write_bytes(JPEG)
    applied = invoke(settings, "apply", write(FILE))
    assert applied.exit_code == 0, applied.output
    assert "host: logo changed\n" in applied.output
    assert "globex: logo changed\n" in applied.output
    assert invoke(settings, "apply", write(FILE)).output == "nothing to change\n"

    exported = folder / "out" / "export.yaml"
    exported.parent.mkdir()
    assert invoke(settings, "export", exported).exit_code == 0
    assert "    logo_file: host/logo.png\n" in exported.read_text()
    assert (exported.parent / "host/logo.png").read_bytes() == LOGO
    assert (exported.parent / "organizations/globex/logo.jpeg").read_bytes() == JPEG
    assert not (exported.parent / "organizations/acme/logo.png").exists()
    assert invoke(settings, "apply", exported).output == "nothing to change\n"
    assert "    # logo_file: host/logo.png\n" in invoke(settings, "export").output
    elsewhere = {"PORTAL_DATA_DIR": str(tmp_path / "elsewhere")}
    assert "globex: logo changed" in invoke(elsewhere, "apply", exported).output

    removed = invoke(settings, "apply", write(FILE.replace("globex.jpg", '""')))
    assert removed.output == "globex: logo removed\n"


def test_a_file_that_is_no_logo_is_told_with_its_line(
    settings: Settings, write: Write, folder: Path
) -> None:
    (folder / "cloud.png").write_text("<svg>")
    (folder / "globex.jpg").write_bytes(bytes(300_000))
    told = invoke(settings, "apply", write(FILE)).stderr
    assert "3: host.mail.logo_file: SVG is refused" in told
    assert "6: organizations[0].mail.logo_file:" in told and "larger than 200 KiB" in told
    missing = invoke(settings, "apply", write(FILE.replace("globex.jpg", "none.jpg"))).stderr
    assert "none.jpg cannot be read: No such file or directory." in missing
