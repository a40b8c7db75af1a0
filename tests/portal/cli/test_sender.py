"""`portal sender test` against a real SMTP server."""

import json

import pytest

from tests.databases import EngineName
from tests.portal.cli.commands import invoke
from tests.portal.cli.conftest import Write
from tests.smtp_server import SmtpServer, reply

pytestmark = pytest.mark.parametrize("engine_name", [EngineName.SQLITE])
Settings = dict[str, str]
FILE = """
host:
  senders:
    - {{name: platform, display_name: Platform, from_address: no-reply@acme.test,
       server: 127.0.0.1, port: {port}, encryption: none}}
"""


def prepare(settings: Settings, write: Write, server: SmtpServer) -> None:
    assert invoke(settings, "apply", write(FILE.format(port=server.port))).exit_code == 0


def test_a_test_mail_arrives_and_every_step_is_told(settings: Settings, write: Write) -> None:
    with SmtpServer() as server:
        prepare(settings, write, server)
        done = invoke(settings, "sender", "test", "platform", "--to", "ann@acme.test")
        (mail,) = server.wait_for_messages(1)
    assert done.exit_code == 0, done.output
    steps = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines() if line}
    assert all(steps[step] == "ok" for step in ("connect", "ehlo", "mail", "rcpt", "data", "dot"))
    assert done.stdout.endswith("The server accepted the test mail.\n")
    assert mail.recipients == ("ann@acme.test",)


def test_a_check_sends_nothing(settings: Settings, write: Write) -> None:
    with SmtpServer() as server:
        prepare(settings, write, server)
        done = invoke(
            settings, "sender", "test", "platform", "--to", "ann@acme.test", "--check-only"
        )
        assert server.messages == []
    assert done.exit_code == 0
    assert done.stdout.endswith("The connection works. No mail was sent.\n")


def test_a_failure_is_explained_and_is_the_exit_code(settings: Settings, write: Write) -> None:
    refusal = {"rcpt": reply("550 5.1.1 no such user")}
    with SmtpServer(script=refusal) as server:
        prepare(settings, write, server)
        done = invoke(settings, "sender", "test", "platform", "--to", "ann@acme.test", "--json")
        plain = invoke(settings, "sender", "test", "platform", "--to", "ann@acme.test")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["passed"]) == (1, False)
    assert (report["failure"]["step"], report["failure"]["code"]) == ("rcpt", 550)
    assert report["failure"]["cure"]
    assert plain.exit_code == 1
    assert report["failure"]["cure"] in plain.stdout
    assert "The server said: " in plain.stdout
    assert "no such user" in plain.stdout


def test_a_sender_that_is_not_there_names_those_that_are(settings: Settings, write: Write) -> None:
    with SmtpServer() as server:
        prepare(settings, write, server)
    done = invoke(settings, "sender", "test", "main", "--to", "ann@acme.test")
    assert done.exit_code == 1
    assert done.stderr == "Error: There is no sender main in the host. There are: platform.\n"


def test_a_sender_with_an_address_of_the_platform_is_refused_with_the_cure(
    settings: Settings, write: Write
) -> None:
    own = """
organizations:
  - slug: globex
    name: Globex
    senders:
      - {name: main, display_name: Globex, from_address: no-reply@acme.test,
         server: smtp.acme.test, encryption: none}
"""
    assert invoke(settings, "apply", write(own)).exit_code == 0
    assert invoke(settings, "apply", write(FILE.format(port=25))).exit_code == 0
    again = invoke(settings, "apply", write(own))
    tested = invoke(
        settings, "sender", "test", "main", "--organization", "globex", "--to", "ann@acme.test"
    )
    for refused in (again, tested):
        assert refused.exit_code == 1, refused.output
        assert "no-reply@acme.test is the platform's own address." in refused.stderr
