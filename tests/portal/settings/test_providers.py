"""The catalogue of providers against what is documented of them."""

import re
from collections.abc import Iterator

import pytest

from portal.destinations import SMTP_PORTS
from portal.settings import providers, sender_rules
from portal.settings.provider_texts import GUIDES, HINTS, NOTES, USERS, WARNINGS
from portal.settings.providers import Guess, Limits, Provider
from portal.smtp.values import Authentication, Encryption

KEYS = [provider.key for provider in providers.all()]
# Server, port and encryption that each one fills in.
DEFAULTS = """
gmail smtp.gmail.com 587 starttls
google-workspace smtp.gmail.com 587 starttls
google-workspace-relay smtp-relay.gmail.com 587 starttls
microsoft365 smtp.office365.com 587 starttls
microsoft365-password smtp.office365.com 587 starttls
microsoft365-hve smtp.hve.mx.microsoft 587 starttls
microsoft365-connector DOMAIN-COM.mail.protection.outlook.com 25 starttls
outlook smtp-mail.outlook.com 587 starttls
exchange - 587 starttls
qq smtp.qq.com 465 tls
tencent-exmail smtp.exmail.qq.com 465 tls
tencent-ses smtp.qcloudmail.com 465 tls
163 smtp.163.com 465 tls
126 smtp.126.com 465 tls
yeah smtp.yeah.net 465 tls
sina smtp.sina.com 465 tls
alibaba-mail smtp.qiye.aliyun.com 465 tls
aliyun-directmail smtpdm.aliyun.com 465 tls
aliyun smtp.aliyun.com 465 tls
yahoo smtp.mail.yahoo.com 465 tls
icloud smtp.mail.me.com 587 starttls
zoho smtp.zoho.com 465 tls
zoho-organization smtppro.zoho.com 465 tls
fastmail smtp.fastmail.com 465 tls
yandex smtp.yandex.ru 465 tls
mailru smtp.mail.ru 465 tls
amazon-ses email-smtp.REGION.amazonaws.com 587 starttls
sendgrid smtp.sendgrid.net 587 starttls
mailgun smtp.mailgun.org 587 starttls
postmark smtp.postmarkapp.com 587 starttls
brevo smtp-relay.brevo.com 587 starttls
mailjet in-v3.mailjet.com 587 starttls
sparkpost smtp.sparkpostmail.com 587 starttls
resend smtp.resend.com 465 tls
mailtrap live.smtp.mailtrap.io 587 starttls
feishu smtp.feishu.cn 465 tls
sendcloud smtp.sendcloud.net 2525 starttls
mandrill smtp.mandrillapp.com 587 starttls
mailersend smtp.mailersend.net 587 starttls
smtp2go mail.smtp2go.com 2525 starttls
elastic-email smtp.elasticemail.com 465 tls
proton smtp.protonmail.ch 587 starttls
gmx mail.gmx.com 587 starttls
"""

# The limits that providers document; nobody else's preset fills one.
LIMITS = {
    "google-workspace": Limits(per_day=2000),
    "google-workspace-relay": Limits(per_day=10_000),
    "microsoft365": Limits(per_minute=30, per_day=10_000, connections=3),
    "microsoft365-password": Limits(per_minute=30, per_day=10_000, connections=3),
    "sendgrid": Limits(messages_per_connection=5000),
}

# Every number that is said of a provider, beside what is part of a name.
NUMBERS = {
    "google-workspace": {"2,000"},
    "google-workspace-relay": {"10,000", "24"},
    "microsoft365": {"30", "10,000", "3", "1.2", "2026"},
    "microsoft365-password": {"30", "10,000", "3", "1.2", "2026", "2027"},
    "tencent-ses": {"500", "20", "10"},
    "alibaba-mail": {"25"},
    "amazon-ses": {"25", "200", "24", "1"},
    "sendgrid": {"5,000"},
    "postmark": {"465"},
}
NAMES = re.compile(r"POP3|2-Step|OAuth2|MC786329|EC2|eu-west-1|SMTP2GO|Microsoft 365")


def texts_of(provider: Provider) -> Iterator[str]:
    yield str(provider.username_is)
    yield str(provider.password_is)
    for words in (*provider.steps, *provider.notes):
        yield str(words)
    for warning in provider.warnings:
        yield str(warning.text)


def preset(key: str) -> Provider:
    found = providers.by_key(key)
    assert found, key
    return found


def test_every_provider_fills_its_documented_server() -> None:
    rows = [f"{p.key} {p.server or '-'} {p.port} {p.encryption.value}" for p in providers.all()]
    assert rows == DEFAULTS.split("\n")[1:-1]


def test_keys_and_names_are_unique() -> None:
    assert len(set(KEYS)) == len(KEYS)
    assert len({provider.name for provider in providers.all()}) == len(KEYS)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("qq", "QQ邮箱"),
        ("163", "网易163邮箱"),
        ("126", "网易126邮箱"),
        ("tencent-exmail", "腾讯企业邮箱"),
        ("aliyun-directmail", "阿里云邮件推送"),
        ("feishu", "飞书邮箱"),
    ],
)
def test_chinese_providers_have_their_chinese_name(key: str, name: str) -> None:
    assert preset(key).name.endswith(f" {name}")


@pytest.mark.parametrize("key", KEYS)
def test_only_documented_limits_are_filled(key: str) -> None:
    assert preset(key).limits == LIMITS.get(key, Limits())


@pytest.mark.parametrize("key", KEYS)
def test_only_documented_numbers_are_said(key: str) -> None:
    said = " ".join(texts_of(preset(key)))
    numbers = set(re.findall(r"[0-9][0-9.,]*(?<![.,])", NAMES.sub("", said)))
    assert numbers == NUMBERS.get(key, set())


@pytest.mark.parametrize("key", KEYS)
def test_each_is_explained_in_plain_sentences(key: str) -> None:
    for text in texts_of(preset(key)):
        assert text.endswith("."), text
        assert "!" not in text
        assert "please" not in text.lower()
        assert "delivered" not in text


@pytest.mark.parametrize("key", KEYS)
def test_what_a_preset_fills_is_taken_by_the_rules_and_holds_no_credential(key: str) -> None:
    fills = preset(key).fills()
    assert set(fills) <= {
        *("server", "port", "encryption"),
        *("per_minute", "per_day", "connections", "messages_per_connection"),
    }
    raw = {"display_name": "Acme", "from_address": "a@acme.test", **fills}
    raw["server"] = fills["server"] or "mail.acme.test"
    values = sender_rules.parse(raw, base=None, at_host=False, by_host=False)
    assert (values.port, values.encryption) == (fills["port"], fills["encryption"])
    assert values.username is None


@pytest.mark.parametrize("key", KEYS)
def test_organizations_may_connect_to_every_port_of_a_preset(key: str) -> None:
    ways = preset(key).ways
    assert {way.port for way in ways} <= SMTP_PORTS
    assert len(set(ways)) == len(ways)
    assert not [way for way in ways if way.port == 465 and way.encryption is not Encryption.TLS]


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("ann@gmail.com", "gmail"),
        ("  Ann@QQ.com. ", "qq"),
        ("a@b@163.com", "163"),
        ("x@126.com", "126"),
        ("x@foxmail.com", "qq"),
        ("x@acme.onmicrosoft.com", "microsoft365"),
        ("@hotmail.com", "outlook"),
        ("x@me.com", "icloud"),
    ],
)
def test_a_typed_address_suggests_its_provider(address: str, key: str) -> None:
    assert providers.suggest(address) == preset(key)


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("ann@acme.test", "smtp.acme.test"),
        ("x@vip.163.com", "smtp.vip.163.com"),
        ("x@qq.com.evil.example", "smtp.qq.com.evil.example"),
        ("x@notqq.com", "smtp.notqq.com"),
        ("x@onmicrosoft.com", "smtp.onmicrosoft.com"),
        ("ann@", ""),
        ("ann", ""),
        ("qq.com", ""),
        ("", ""),
    ],
)
def test_another_address_gets_a_guess(address: str, server: str) -> None:
    assert providers.suggest(address) == Guess(server, 587, Encryption.STARTTLS)


def test_no_domain_belongs_to_two_providers() -> None:
    domains = [domain for provider in providers.all() for domain in provider.domains]
    assert len(set(domains)) == len(domains)


@pytest.mark.parametrize("key", KEYS)
def test_a_server_is_known_as_its_provider(key: str) -> None:
    for server in preset(key).servers:
        found = providers.of_server(server.replace("REGION", "eu-west-1").lower() + ".")
        assert found
        assert server in found.servers


@pytest.mark.parametrize(
    "server",
    ["", "smtp.acme.test", "smtp.163.com.evil.example", "email-smtp.a.b.amazonaws.com", "qq.com"],
)
def test_another_server_belongs_to_nobody(server: str) -> None:
    assert providers.of_server(server) is None


def test_what_must_be_replaced_is_known() -> None:
    found = {p.key: p.placeholder for p in providers.all() if p.placeholder}
    assert found == {"amazon-ses": "REGION", "microsoft365-connector": "DOMAIN-COM"}


def test_regional_servers_are_offered_by_name() -> None:
    assert {str(r.name): r.server for r in preset("aliyun-directmail").regions} == {
        "Singapore": "smtpdm-ap-southeast-1.aliyuncs.com",
        "United States": "smtpdm-us-east-1.aliyuncs.com",
        "Germany": "smtpdm-eu-central-1.aliyuncs.com",
    }
    assert len(preset("zoho").regions) == len(preset("zoho-organization").regions) == 6
    assert preset("tencent-exmail").regions[0].server == "hwsmtp.exmail.qq.com"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("qq", ["Account and Security", "text message", "authorization code"]),
        ("163", ["not in the mail client", "shown once"]),
        ("126", ["not in the mail client", "shown once"]),
        ("tencent-exmail", ["Tick the POP/SMTP", "WeChat", "client-specific"]),
        ("exchange", ["system administrator", "display name is replaced"]),
        ("gmail", ["2-Step", "app password", "without the spaces"]),
        ("microsoft365", ["SMTP.SendAsApp", "service principal", "client secret"]),
    ],
)
def test_the_way_to_the_password_is_told_in_steps(key: str, words: list[str]) -> None:
    steps = " ".join(str(step) for step in preset(key).steps)
    assert not [word for word in words if word not in steps]


@pytest.mark.parametrize("key", ["qq", "163", "126", "yeah", "sina"])
def test_a_code_is_asked_for_and_not_the_mailboxs_password(key: str) -> None:
    assert "authorization code, not the mailbox's password" in str(preset(key).password_is)


def test_microsoft_365_warns_by_date_and_outlook_takes_no_password() -> None:
    (password,) = preset("microsoft365-password").warnings
    assert password.on
    assert (password.on.year, password.on.month) == (2026, 12)
    assert "December 2026" in str(password.text)
    assert "second half of 2027" in str(password.text)
    assert preset("microsoft365").warnings[0].on == password.on
    (outlook,) = preset("outlook").warnings
    assert "Not usable with a password" in str(outlook.text)
    assert not preset("outlook").takes_password
    assert preset("outlook").authentication is Authentication.OAUTH2_REFRESH_TOKEN


def test_the_way_that_lasts_is_suggested() -> None:
    microsoft = preset("microsoft365")
    assert microsoft.authentication is Authentication.OAUTH2_CLIENT_CREDENTIALS
    assert microsoft.scope == "https://outlook.office365.com/.default"
    assert microsoft.token_url
    assert "TENANT" in microsoft.token_url
    assert preset("google-workspace").authentication is Authentication.OAUTH2_SERVICE_ACCOUNT


def test_every_text_belongs_to_a_provider() -> None:
    assert {*USERS, *GUIDES, *NOTES, *WARNINGS} <= set(KEYS)
    assert len(HINTS) == 5
