"""Mail carries the logo of the organization, else of the host, as an image of its own."""

from email.message import EmailMessage

import pytest

from portal.audit.log import OPERATOR
from portal.delivery import claims, identity, sender_tests, writing
from portal.delivery.beginning import Begun
from portal.delivery.outbox import Addressee
from portal.extensions import db
from portal.identity.models import Organization
from portal.kinds import BY_KEY
from portal.records import letter_view
from portal.settings import effective, logos
from portal.settings.effective import Origin
from portal.settings.models import Logo
from portal.settings.scope import HOST, Scope
from portal.settings.senders import Keep
from tests.delivering import begin, enqueue, record, take_turns
from tests.images import JPEG, LOGO, png
from tests.portal.letters.samples import DATA
from tests.smtp_server import SmtpServer

ANN, BEN = Addressee("ann@x.test"), Addressee("ben@x.test")
_ALERT, _INVITATION = BY_KEY["alert.raised"], BY_KEY["security.invitation"]


def images(mail: EmailMessage) -> list[tuple[str, bytes]]:
    return [
        (part["Content-ID"], part.get_content())
        for part in mail.walk()
        if part.get_content_maintype() == "image"
    ]


def html(mail: EmailMessage) -> str:
    return next(
        part.get_content() for part in mail.walk() if part.get_content_type() == "text/html"
    )


def test_a_logo_inherits_and_is_reset(globex: Organization) -> None:
    own = Scope.of(globex)
    assert identity.of(globex, _ALERT).logo is None
    assert logos.save(HOST, LOGO, actor=OPERATOR)
    assert effective.identity(globex)["logo"].origin is Origin.HOST
    assert identity.with_images(globex, _ALERT)[1][0].content == LOGO
    assert logos.save(own, JPEG, actor=OPERATOR)
    assert not logos.save(own, JPEG, actor=OPERATOR)
    assert identity.with_images(globex, _ALERT)[1][0].content == JPEG
    assert identity.with_images(globex, _INVITATION)[1][0].content == LOGO
    assert logos.remove(own, actor=OPERATOR)
    assert not logos.remove(own, actor=OPERATOR)
    assert identity.with_images(globex, _ALERT)[1][0].content == LOGO
    assert logos.remove(HOST, actor=OPERATOR)
    assert identity.with_images(globex, _ALERT) == (identity.of(globex, _ALERT), ())
    assert db.session.query(Logo).count() == 0


def test_every_mail_of_a_notification_carries_the_logo_that_its_letter_shows(
    globex: Organization, server: SmtpServer
) -> None:
    logos.save(Scope.of(globex), LOGO, actor=OPERATOR)
    enqueue(globex, ANN, BEN, Addressee("\u7528\u6237@x.test"))
    take_turns()

    for received in server.wait_for_messages(2):
        ((content_id, content),) = images(received.message)
        assert content == LOGO
        assert f'src="cid:{content_id.strip("<>")}"' in html(received.message)
        drawn = html(received.message).partition("<img")[2].partition(">")[0]
        for said in ('alt="Globex"', 'width="48"', 'height="24"'):
            assert said in drawn
        kinds = [part.get_content_type() for part in received.message.walk()]
        assert kinds[:3] == ["multipart/alternative", "text/plain", "multipart/related"]


def test_a_letter_with_secrets_carries_it_as_well_and_a_test_mail(
    globex: Organization, server: SmtpServer
) -> None:
    logos.save(Scope.of(globex), JPEG, actor=OPERATOR)
    data = DATA["approval.requested"]
    secrets = {name: data[name] for name in BY_KEY["approval.requested"].secrets}
    asked = Addressee(ANN.address, secrets=secrets)
    enqueue(globex, asked, kind="approval.requested", data={**data, **dict.fromkeys(secrets, "")})
    take_turns()
    (approval,) = server.wait_for_messages(1)
    assert [content for _, content in images(approval.message)] == [JPEG]

    sender = effective.default_sender(Scope.of(globex))
    sender_tests.run(
        globex,
        sender,
        {},
        name="main",
        secret=Keep(),
        to="carol@globex.test",
        check_only=False,
        actor=OPERATOR,
    )
    test = server.wait_for_messages(2)[1]
    assert [content for _, content in images(test.message)] == [JPEG]


def test_a_logo_that_went_while_a_letter_was_written_leaves_the_name(globex: Organization) -> None:
    logos.save(Scope.of(globex), LOGO, actor=OPERATOR)
    db.session.query(Logo).delete()
    written_as, carried = identity.with_images(globex, _ALERT)
    assert (written_as.logo, carried) == (None, ())


def test_the_record_shows_the_logo_in_the_page_itself(
    globex: Organization, server: SmtpServer
) -> None:
    (one,) = enqueue(globex, ANN)
    assert "data:image" not in str(letter_view.page_of(record(one)))
    logos.save(Scope.of(globex), LOGO, actor=OPERATOR)
    db.session.commit()
    shown = str(letter_view.page_of(record(one)))
    assert shown.count('src="data:image/png;base64,iVBOR') == 1
    assert "cid:" not in shown


def test_a_letter_that_others_share_is_forgotten_before_it_fills_the_memory(
    globex: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Templates hold the whole image; how many are kept goes by their size as well."""
    noise = png(200, 100, lines=(b"\0" + b"\x0b\x5a\x6b" * 200) * 100)
    logos.save(Scope.of(globex), noise, actor=OPERATOR)
    writer = writing.Writer()
    sizes = []
    for _ in range(3):
        writer.write(begun_of(globex))
        sizes.append(writer._size)
    monkeypatch.setattr(writing, "_LARGEST_TEMPLATES", sizes[0])
    writer.write(begun_of(globex))
    assert len(writer._templates) == 1
    assert writer._size == sum(template.size for template in writer._templates.values())


def begun_of(organization: Organization) -> Begun:
    enqueue(organization, ANN)
    (claimed,) = claims.claim("one", limit=1)
    begun = begin(claimed)
    assert begun is not None
    return begun
