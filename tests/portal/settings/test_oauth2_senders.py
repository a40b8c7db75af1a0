"""OAuth2 in the settings: what its values must be, and where its secrets may go."""

import itertools
from typing import Any

import pytest

from portal.audit.log import OPERATOR
from portal.extensions import db
from portal.settings import binding, changes, effective, rotation, senders
from portal.settings.binding import Part
from portal.settings.models import Sender, SenderVersion, VersionState
from portal.settings.scope import HOST
from portal.settings.senders import Keep, Replace, SecretChange
from portal.validation import Invalid
from portal.vault import VaultError
from tests import smtp_certificates
from tests.portal.smtp.oauth2_setting import private_pem

URL = "https://login.test/tenant/token"
CLIENT: dict[str, Any] = {
    "display_name": "Alerts",
    "from_address": "alerts@globex.test",
    "server": "smtp.globex.test",
    "username": "mailbox@globex.test",
    "authentication": "oauth2_client_credentials",
    "client_id": "portal",
    "token_url": URL,
    "scope": "mail",
}
REFRESH = CLIENT | {"authentication": "oauth2_refresh_token"}
SERVICE = CLIENT | {"authentication": "oauth2_service_account", "client_id": "p@project.test"}
SECRETS: dict[str, SecretChange] = {
    "oauth2_client_credentials": Replace("client canary"),
    "oauth2_service_account": Replace(private_pem()),
    "oauth2_refresh_token": Replace("client canary", "refresh canary"),
}
GRANTS = {values["authentication"]: values for values in (CLIENT, REFRESH, SERVICE)}
# Every field of the binding; each is changed alone.
DESTINATIONS: list[dict[str, Any]] = [
    {"server": "smtp.evil.test"},
    {"port": "2525"},
    {"encryption": "tls"},
    {"encryption": "none", "allow_clear_login": True},
    {"verify": False},
    {"ca": smtp_certificates.authority_pem()},
    {"username": "root@globex.test"},
    {"token_url": "https://login.evil.test/tenant/token"},
    {"token_url": "https://login.test:8443/tenant/token"},
    {"token_url": "https://login.test/another/token"},
    {"client_id": "another"},
    {"scope": "everything"},
    {"scope": None},
]
EVERY = list(itertools.product(GRANTS, DESTINATIONS))
IDS = [f"{grant}-{next(iter(change))}" for grant, change in EVERY]


def stored(grant: str, *, activate: bool = True) -> Sender:
    return senders.save(
        HOST, "main", GRANTS[grant], secret=SECRETS[grant], actor=OPERATOR, activate=activate
    ).sender


def again(sender: Sender, secret: SecretChange, **raw: Any) -> senders.Saved:
    return senders.save(HOST, sender.name, raw, secret=secret, actor=OPERATOR, sender=sender)


def refused(raw: dict[str, Any], secret: SecretChange) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        senders.candidate(HOST, None, raw, secret=secret, actor=OPERATOR)
    return {error.field: error.message for error in caught.value.errors}


def active(sender: Sender) -> SenderVersion:
    version = effective.version_of(sender, VersionState.ACTIVE)
    assert version is not None
    return version


@pytest.mark.parametrize("grant", GRANTS)
def test_a_whole_bundle_carries_its_grant_with_its_secrets(session: Any, grant: str) -> None:
    sender = stored(grant)
    bundle = effective.bundle_of(HOST, sender, active(sender))
    secret = SECRETS[grant]
    assert isinstance(secret, Replace)
    assert (bundle.secret, bundle.refresh_token) == (secret.secret, secret.refresh_token)
    assert (bundle.token_url, bundle.scope) == (URL, "mail")
    assert "canary" not in str(vars(active(sender)))


def test_the_provider_s_token_url_and_scope_are_the_defaults(session: Any) -> None:
    raw = SERVICE | {"token_url": "", "scope": None}
    checked = senders.candidate(HOST, None, raw, secret=Replace(private_pem()), actor=OPERATOR)
    bundle = effective.bundle_from(HOST, "new", checked.values, checked.secret)
    assert bundle.token_url == "https://oauth2.googleapis.com/token"
    assert bundle.scope == "https://mail.google.com/"
    assert (checked.values.token_url, checked.values.scope) == (None, None)


@pytest.mark.parametrize(
    ("raw", "secret", "fields"),
    [
        (CLIENT | {"client_id": ""}, Replace("x"), {"client_id"}),
        (CLIENT | {"token_url": ""}, Replace("x"), {"token_url"}),
        (CLIENT | {"token_url": "login.test"}, Replace("x"), {"token_url"}),
        (CLIENT | {"token_url": "https://a:b@login.test/"}, Replace("x"), {"token_url"}),
        (CLIENT | {"token_url": "https://login.test/TENANT/t"}, Replace("x"), {"token_url"}),
        (CLIENT | {"token_url": "http://login.test/token"}, Replace("x"), {"token_url"}),
        (CLIENT | {"domain": "ACME"}, Replace("x"), {"domain"}),
        (CLIENT | {"client_secret_expires_at": "soon"}, Replace("x"), {"client_secret_expires_at"}),
        (CLIENT, Keep(), {"client_secret"}),
        (CLIENT, Replace("x", "refresh"), {"refresh_token"}),
        (CLIENT, Replace("x", given_as="password"), {"password"}),
        (SERVICE, Keep(), {"private_key"}),
        (SERVICE, Replace("not a key"), {"private_key"}),
        (SERVICE | {"client_id": ""}, Replace(private_pem()), {"client_id"}),
        (REFRESH, Replace("x"), {"refresh_token"}),
        (REFRESH | {"client_id": ""}, Replace("x"), {"client_id", "refresh_token"}),
    ],
)
def test_what_a_grant_lacks_is_told_by_its_field(
    session: Any, raw: dict[str, Any], secret: SecretChange, fields: set[str]
) -> None:
    said = refused(raw, secret)
    assert set(said) == fields
    assert "not a key" not in str(said)


def test_a_key_file_says_whose_it_is_and_a_public_client_has_no_secret(session: Any) -> None:
    text = private_pem().replace("\n", "\\n")
    key_file = f'{{"private_key": "{text}", "client_email": "p@project.test"}}'
    raw = SERVICE | {"client_id": None}
    assert senders.candidate(HOST, None, raw, secret=Replace(key_file), actor=OPERATOR).secret
    public = senders.candidate(HOST, None, REFRESH, secret=Replace("", "r"), actor=OPERATOR)
    assert (public.secret, public.refresh_token) == (None, "r")


def test_plain_http_is_for_what_a_system_administrator_opened(session: Any) -> None:
    raw = CLIENT | {"token_url": "http://login.test:8080/token"}
    assert set(refused(raw, Replace("x"))) == {"token_url"}
    changes.save_allowed_destinations(["login.test:8080"], actor=OPERATOR)
    assert senders.candidate(HOST, None, raw, secret=Replace("x"), actor=OPERATOR)


def test_without_oauth2_its_values_are_gone(session: Any) -> None:
    sender = stored("oauth2_client_credentials")
    again(sender, Replace("password"), authentication="password")
    version = senders.shown_version(sender)
    assert (version.client_id, version.token_url, version.scope) == (None, None, None)


@pytest.mark.parametrize(("grant", "change"), EVERY, ids=IDS)
def test_a_changed_destination_asks_for_every_secret_again(
    session: Any, grant: str, change: dict[str, Any]
) -> None:
    sender = stored(grant)
    before = sender.revision
    with pytest.raises(Invalid) as caught:
        again(sender, Keep(), **change)
    fields = {error.field for error in caught.value.errors}
    assert (
        fields
        == {
            "oauth2_client_credentials": {"client_secret"},
            "oauth2_service_account": {"private_key"},
            "oauth2_refresh_token": {"client_secret", "refresh_token"},
        }[grant]
    )
    assert (sender.revision, len(sender.versions)) == (before, 1)


@pytest.mark.parametrize(("grant", "change"), EVERY, ids=IDS)
def test_no_sealed_secret_opens_for_another_destination_or_as_the_other_part(
    session: Any, grant: str, change: dict[str, Any]
) -> None:
    sender = stored(grant)
    elsewhere = senders.candidate(HOST, sender, change, secret=SECRETS[grant], actor=OPERATOR)
    here = effective.values_of(active(sender))
    sealed = {Part.SECRET: active(sender).secret, Part.REFRESH_TOKEN: active(sender).refresh_token}
    for (part, text), other in itertools.product(sealed.items(), Part):
        for values in (here, elsewhere.values):
            if text is None or (values is here and part is other):
                continue
            with pytest.raises(VaultError):
                binding.unseal(text, scope=HOST, sender_id=sender.id, values=values, part=other)


@pytest.mark.parametrize("change", [{"secret": "new"}, {"refresh_token": "new"}])
def test_one_new_secret_does_not_carry_the_other_to_a_changed_destination(
    session: Any, change: dict[str, Any]
) -> None:
    sender = stored("oauth2_refresh_token")
    with pytest.raises(Invalid) as caught:
        again(sender, Replace(**{"secret": None, **change}), token_url="https://evil.test/t")
    kept = {"secret": "refresh_token", "refresh_token": "client_secret"}[next(iter(change))]
    assert [error.field for error in caught.value.errors] == [kept]


@pytest.mark.parametrize(
    "grant", ["password", "oauth2_client_credentials", "oauth2_service_account"]
)
def test_a_secret_of_one_authentication_is_not_kept_for_another(session: Any, grant: str) -> None:
    sender = stored("oauth2_refresh_token")
    with pytest.raises(Invalid):
        again(sender, Keep(), authentication=grant)


@pytest.mark.parametrize(
    "spelling",
    [
        {"token_url": "HTTPS://LOGIN.test:443/tenant/token"},
        {"server": "SMTP.Globex.Test."},
        {"display_name": "Other"},
    ],
)
def test_another_spelling_of_the_same_destination_keeps_the_secrets(
    session: Any, spelling: dict[str, Any]
) -> None:
    sender = stored("oauth2_refresh_token")
    again(sender, Keep(), **spelling)
    shown = senders.shown_version(sender)
    bundle = effective.bundle_of(HOST, sender, shown)
    assert (bundle.secret, bundle.refresh_token) == ("client canary", "refresh canary")


def test_a_default_that_is_written_out_is_the_same_destination(session: Any) -> None:
    raw = SERVICE | {"token_url": None, "scope": None}
    sender = senders.save(HOST, "g", raw, secret=Replace(private_pem()), actor=OPERATOR).sender
    again(sender, Keep(), token_url="https://oauth2.googleapis.com/token")
    again(sender, Keep(), scope="https://mail.google.com/")


def test_a_rotated_token_takes_the_place_of_the_old_one_and_keeps_the_pass(session: Any) -> None:
    checked = senders.candidate(
        HOST, None, REFRESH, secret=SECRETS["oauth2_refresh_token"], actor=OPERATOR
    )
    senders.remember_pass(HOST, checked)
    sender = stored("oauth2_refresh_token", activate=False)
    version = senders.shown_version(sender)
    rotation.store(version.id, "refresh canary", "second")
    db.session.flush()
    assert effective.bundle_of(HOST, sender, version).refresh_token == "second"
    saved = again(sender, Keep(), per_minute="5")
    assert saved.version.state is VersionState.ACTIVE
    assert effective.bundle_of(HOST, sender, saved.version).refresh_token == "second"


def test_giving_the_first_token_again_keeps_the_newest(session: Any) -> None:
    sender = stored("oauth2_refresh_token")
    rotation.store(active(sender).id, "refresh canary", "second")
    again(sender, Replace(None, "refresh canary"))
    assert effective.bundle_of(HOST, sender, active(sender)).refresh_token == "second"
    again(sender, Replace("client canary", "another"))
    shown = senders.shown_version(sender)
    assert effective.bundle_of(HOST, sender, shown).refresh_token == "another"


def test_a_rotated_token_never_reaches_a_version_of_another_destination(session: Any) -> None:
    sender = stored("oauth2_refresh_token")
    first = active(sender)
    again(sender, SECRETS["oauth2_refresh_token"], token_url="https://evil.test/token")
    draft = effective.version_of(sender, VersionState.DRAFT)
    assert draft is not None
    rotation.store(first.id, "refresh canary", "second")
    assert effective.bundle_of(HOST, sender, first).refresh_token == "second"
    assert effective.bundle_of(HOST, sender, draft).refresh_token == "refresh canary"


def test_a_token_that_was_replaced_meanwhile_is_not_overwritten(session: Any) -> None:
    sender = stored("oauth2_refresh_token")
    rotation.store(active(sender).id, "an older one", "late")
    assert effective.bundle_of(HOST, sender, active(sender)).refresh_token == "refresh canary"


def test_a_token_rotated_by_a_test_is_what_save_stores(session: Any) -> None:
    secret = SECRETS["oauth2_refresh_token"]
    checked = senders.candidate(HOST, None, REFRESH, secret=secret, actor=OPERATOR)
    assert checked.given_token
    rotation.note(HOST, checked.values, checked.given_token, "second")
    rotation.note(HOST, checked.values, checked.given_token, "third")
    sender = stored("oauth2_refresh_token")
    assert effective.bundle_of(HOST, sender, active(sender)).refresh_token == "third"
    elsewhere = REFRESH | {"client_id": "another"}
    other = senders.candidate(HOST, None, elsewhere, secret=secret, actor=OPERATOR)
    assert other.refresh_token == "refresh canary"
