"""A dialogue with a server whose every turn is written down in the test."""

from portal.smtp.dialogue import Dialogue
from portal.smtp.events import Ended, Envelope, Event, Finished, StartTls
from portal.smtp.values import Authentication, Bundle, Encryption
from portal.smtp.wire import content_bytes

EHLO = b"250-mx\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n"
PLAIN_EHLO = b"250 mx\r\n"
ANN = Envelope("portal@acme.test", ("ann@globex.test",), size=10)
BOB = Envelope("portal@acme.test", ("bob@globex.test",), size=10)
MAIL, RCPT, DATA, DOT = b"250 m\r\n", b"250 r\r\n", b"354 d\r\n", b"250 2.0.0 q1\r\n"
CONTENT = content_bytes(b"a: b\n\nhi\n")


def bundle(
    encryption: Encryption = Encryption.STARTTLS,
    authentication: Authentication = Authentication.PASSWORD,
) -> Bundle:
    return Bundle(
        owner="host",
        name="default",
        from_address="portal@acme.test",
        display_name="Portal",
        server="mx.test",
        port=587,
        encryption=encryption,
        authentication=authentication,
        secret="pass",
    )


class Conversation:
    """Feeds server turns to a dialogue, and keeps what came out."""

    def __init__(self, *, login: bool = False, ehlo: bytes = EHLO) -> None:
        self.events: list[Event] = []
        settings_ = bundle() if login else bundle(Encryption.NONE, Authentication.NONE)
        self.dialogue = Dialogue(settings_, ip="192.0.2.1")
        if not login:
            self.turns(b"220 mx\r\n", ehlo)

    def turn(self, data: bytes) -> list[Event]:
        """The client's bytes go out; the server answers with these. Returns the new events."""
        self.dialogue.take()
        events = self.dialogue.receive(data)
        self.events += events
        if any(isinstance(event, StartTls) for event in events):
            self.dialogue.tls_established()
        return events

    def turns(self, *answers: bytes) -> list[Event]:
        events: list[Event] = []
        for answer in answers:
            events = self.turn(answer)
        return events

    def begin(self, envelope: Envelope) -> None:
        self.events += self.dialogue.begin(envelope)

    def give_content(self) -> None:
        self.dialogue.content(CONTENT)
        self.dialogue.dot()

    @property
    def finished(self) -> list[Finished]:
        return [event for event in self.events if isinstance(event, Finished)]

    @property
    def ended(self) -> list[Ended]:
        return [event for event in self.events if isinstance(event, Ended)]
