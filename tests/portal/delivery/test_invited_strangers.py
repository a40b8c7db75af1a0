"""An invitation goes to strangers in the host's good name: an organization writes nothing in it."""

import pytest

from portal.audit.log import OPERATOR
from portal.extensions import db
from portal.identity.models import Organization, Role
from portal.notifications import accounts
from portal.settings import changes
from portal.settings.scope import HOST, Scope
from tests.delivering import take_turns
from tests.smtp_server import SmtpServer

_OWN = {
    "display_name": "Your Bank",
    "title_prefix": "[Account closed]",
    "footer": "Write to support at once.",
    "reply_to": "answers@globex.test",
}


@pytest.mark.parametrize(("language", "said"), [("en", "to “Globex” on"), ("zh", "上的“Globex”")])
def test_an_invitation_quotes_the_name_of_the_organization_and_is_else_the_hosts(
    globex: Organization, server: SmtpServer, language: str, said: str
) -> None:
    changes.save_mail_settings(HOST, {"footer": "The platform."}, actor=OPERATOR)
    changes.save_mail_settings(Scope.of(globex), _OWN | {"language": language}, actor=OPERATOR)
    globex.name = "Globex”"
    accounts.invite(globex, email="eve@x.test", name="Eve", role=Role.MEMBER, actor=OPERATOR)
    db.session.commit()
    take_turns()
    (sent,) = server.messages
    body = sent.message.get_body(("plain",))
    assert body is not None and said in body.get_content()
    assert "The platform." in body.get_content()
    parts = [part.get_content() for part in sent.message.walk() if not part.is_multipart()]
    whole = "\n".join([*map(str, sent.message.values()), *parts])
    assert not [words for words in _OWN.values() if words in whole]
    assert "no-reply@gatepost.test" in sent.message["From"]
