"""The cast is who it says it is."""

from flask import Flask
from sqlalchemy import select

from portal.extensions import db
from portal.identity import users
from portal.identity.models import Membership, Organization, Role, User
from portal.settings.models import MailSettings, Mode
from tests.cast import Cast


def roles_of(app: Flask, person_id: object) -> dict[str, Role]:
    with app.app_context():
        rows = db.session.execute(
            select(Organization.slug, Membership.role)
            .join(Membership.organization)
            .where(Membership.user_id == person_id)
        )
        return {row.slug: row.role for row in rows}


def test_everyone_has_their_role(app: Flask, cast: Cast) -> None:
    assert roles_of(app, cast.rita.id) == {}
    assert roles_of(app, cast.alice.id) == {"acme": Role.ADMINISTRATOR}
    assert roles_of(app, cast.bob.id) == {"acme": Role.MEMBER}
    assert roles_of(app, cast.carol.id) == {"globex": Role.ADMINISTRATOR}
    assert roles_of(app, cast.dave.id) == {"acme": Role.MEMBER, "globex": Role.MEMBER}


def test_rita_alone_runs_the_host(app: Flask, cast: Cast) -> None:
    with app.app_context():
        found = db.session.scalars(select(User.email).where(User.is_system_administrator)).all()
    assert found == [cast.rita.email]


def test_everyone_can_sign_in(app: Flask, cast: Cast) -> None:
    with app.app_context():
        for person in (cast.rita, cast.alice, cast.bob, cast.carol, cast.dave):
            user = users.authenticate(person.email, person.password)
            assert user is not None and user.id == person.id


def test_acme_inherits_and_globex_overrides(app: Flask, cast: Cast) -> None:
    with app.app_context():
        modes = dict(
            db.session.execute(select(MailSettings.organization_id, MailSettings.mode)).all()
        )
    assert modes.get(cast.acme.id, Mode.INHERIT) is Mode.INHERIT
    assert modes[cast.globex.id] is Mode.OWN
