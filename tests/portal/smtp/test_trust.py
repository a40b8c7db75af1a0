"""Contexts are kept per trust setting, and certificates are shown in a safe line."""

import ssl
from datetime import UTC, datetime

import pytest

from portal.smtp.trust import Tls, UnreadableAuthority, context_for, describe
from tests import smtp_certificates


def test_one_context_serves_each_trust_setting():
    ca = smtp_certificates.authority_pem()
    assert context_for(verify=True, ca=None) is context_for(verify=True, ca=None)
    assert context_for(verify=True, ca=ca) is context_for(verify=True, ca=ca)
    different = {
        id(context_for(verify=verify, ca=pem)) for verify in (True, False) for pem in (None, ca)
    }
    assert len(different) == 4


def test_contexts_are_bounded():
    assert context_for.cache_info().maxsize == 64


def test_names_are_checked_and_old_tls_is_off():
    context = context_for(verify=True, ca=None)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context_for(verify=False, ca=None).minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("pem", ["x", "-----BEGIN CERTIFICATE-----\nMII\n", "\x00", "grüße"])
def test_an_authority_that_cannot_be_read_is_refused(pem):
    with pytest.raises(UnreadableAuthority):
        context_for(verify=True, ca=pem)


def test_comments_beside_the_certificate_do_not_matter():
    context_for(verify=True, ca=f"Empresa Número 1: 公司\n{smtp_certificates.authority_pem()}")


def test_a_certificate_is_shown_in_one_safe_line():
    tls = Tls(
        "TLSv1.3",
        "X",
        False,
        subject="mail\r\nevil",
        issuer="Acme 公司",
        sans=("a.test", "b.test"),
        not_after=datetime(2026, 1, 2, tzinfo=UTC),
    )
    expected = "certificate for mail??evil; names a.test, b.test; valid until 2026-01-02; "
    assert describe(tls) == expected + "issued by Acme 公司"
    assert describe(Tls("TLSv1.2", "X", True)) == "certificate for no name"
