"""One turn of a dialogue over a blocking transport."""

from portal import clock
from portal.smtp.dialogue import Dialogue
from portal.smtp.events import Event
from portal.smtp.transport import Lost, Transport


def exchange(
    dialogue: Dialogue, transport: Transport, patience: float, deadline: float
) -> list[Event]:
    """Writes and reads until something happens; never an empty list.

    `patience` is the longest wait in seconds for one whole reply, `deadline` the instant by which
    the whole must be over. A loss, or time that is up, comes as an event.
    """
    start = clock.monotonic()
    answered = dialogue.answered
    while True:
        until = min(start + patience, deadline)
        try:
            if data := dialogue.take():
                transport.write(data, until)
            events = dialogue.receive(transport.read(until))
        except Lost as lost:
            return dialogue.lost(lost.cause, unsent=lost.unsent, detail=_detail(lost, dialogue))
        if events:
            return events
        if dialogue.answered != answered:
            start, answered = clock.monotonic(), dialogue.answered


def _detail(lost: Lost, dialogue: Dialogue) -> str:
    return f"{lost.detail}; {dialogue.received} bytes read"
