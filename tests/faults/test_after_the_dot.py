"""Faults after the final dot: the answer is lost, and the kind of the mail decides what follows."""

import pytest

from portal.delivery.models import State
from portal.identity.models import Organization
from portal.smtp import live
from tests.delivering import TEST_MAIL, enqueue, outcomes, record, take_turns
from tests.faults.routes import later, people
from tests.ledger import Ledger
from tests.smtp_server import SmtpServer, hang


@pytest.mark.fault(29)
def test_an_answer_that_never_comes_is_waited_for_and_then_unknown(
    globex: Organization, ledger: Ledger, server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "DOT_TIMEOUT", 0.4)
    server.set_script(dot=[hang(), hang()])
    (test,) = ledger.note(enqueue(globex, *people(1), kind="mail.test", data=TEST_MAIL))
    (alert,) = ledger.note(enqueue(globex, *people(1)))
    take_turns()
    assert (record(test).state, record(test).reason) == (State.UNKNOWN, "timeout_after_dot")
    assert (record(alert).state, record(alert).reason) == (State.DEFERRED, "timeout_after_dot")
    assert record(alert).may_be_duplicate
    later()
    assert outcomes(test) == ["unknown"]
    assert outcomes(alert) == ["unknown", "accepted"]
    assert [message.message["Message-ID"] for message in server.messages] == [
        record(alert).message_id
    ]
    ledger.check(server)
