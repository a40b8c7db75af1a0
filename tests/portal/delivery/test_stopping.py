"""A worker that is told to end."""

from portal.delivery.models import State
from portal.delivery.outbox import Addressee
from portal.identity.models import Organization
from tests.delivering import enqueue, record, until, worker_process
from tests.smtp_server import SmtpServer, hang

_PATIENCE = 12.0


def test_a_worker_told_to_end_waits_for_no_server_that_never_greets(
    globex: Organization, server: SmtpServer
) -> None:
    server.set_script(greeting=hang())
    (one,) = enqueue(globex, Addressee("ann@x.test"))
    with worker_process() as process:
        until(lambda: server.connections == 1)
        process.terminate()
        process.join(_PATIENCE)
        assert process.exitcode == 0
    assert record(one).state is State.QUEUED
    assert record(one).lease_owner is None
    assert record(one).attempt_count == 0
