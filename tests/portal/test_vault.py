"""Sealed values open with their key, in their place, and nowhere else."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.vault import Vault, VaultError, decoded_key, new_key

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
PLACE = ("host", "7", "secret", "smtp.acme.test", "587")
SECRET = "correct horse battery staple"


@pytest.fixture
def vault() -> Vault:
    return Vault([("k1", KEY)])


@given(st.text(), st.lists(st.text(), max_size=4))
def test_whatever_is_sealed_opens_in_its_place(secret: str, place: list[str]) -> None:
    vault = Vault([("k1", KEY)])
    assert vault.open(vault.seal(secret, context=place), context=place) == secret


def test_a_sealed_value_says_its_key_and_nothing_of_its_content(vault: Vault) -> None:
    sealed = vault.seal(SECRET, context=PLACE)
    assert sealed.startswith("v1.k1.")
    assert "horse" not in sealed
    assert sealed != vault.seal(SECRET, context=PLACE), "a nonce is used once"


@pytest.mark.parametrize("position", range(len(PLACE)))
def test_a_value_does_not_open_in_another_place(vault: Vault, position: int) -> None:
    elsewhere = [*PLACE[:position], "elsewhere", *PLACE[position + 1 :]]
    with pytest.raises(VaultError, match="does not open in this place"):
        vault.open(vault.seal(SECRET, context=PLACE), context=elsewhere)


def test_places_that_read_alike_when_joined_are_different(vault: Vault) -> None:
    sealed = vault.seal(SECRET, context=("a", "bc"))
    for place in (("ab", "c"), ("abc",), ("a", "bc", ""), ('a", "bc',)):
        with pytest.raises(VaultError):
            vault.open(sealed, context=place)


def test_swapped_values_do_not_open(vault: Vault) -> None:
    first, second = (vault.seal(SECRET, context=(row,)) for row in "12")
    for sealed, row in ((first, "2"), (second, "1")):
        with pytest.raises(VaultError):
            vault.open(sealed, context=(row,))


def test_another_key_of_the_same_name_does_not_open(vault: Vault) -> None:
    sealed = vault.seal(SECRET, context=PLACE)
    with pytest.raises(VaultError, match="does not open in this place"):
        Vault([("k1", OTHER)]).open(sealed, context=PLACE)


def test_a_missing_key_is_named(vault: Vault) -> None:
    sealed = vault.seal(SECRET, context=PLACE)
    with pytest.raises(VaultError, match="'k1' is missing"):
        Vault([("k2", KEY)]).open(sealed, context=PLACE)


def test_a_value_does_not_open_under_another_keys_name(vault: Vault) -> None:
    sealed = vault.seal(SECRET, context=PLACE).replace("v1.k1.", "v1.k2.")
    with pytest.raises(VaultError):
        Vault([("k1", KEY), ("k2", KEY)]).open(sealed, context=PLACE)


def test_the_first_key_seals_and_every_key_opens(vault: Vault) -> None:
    old = vault.seal(SECRET, context=PLACE)
    both = Vault([("k2", OTHER), ("k1", KEY)])
    assert both.encrypting_id == "k2"
    assert both.key_ids == ("k2", "k1")
    assert both.seal(SECRET, context=PLACE).startswith("v1.k2.")
    assert both.open(old, context=PLACE) == SECRET


@pytest.mark.parametrize("damage", [0, 5, 11, 12, 20, -1])
def test_a_changed_byte_anywhere_is_noticed(vault: Vault, damage: int) -> None:
    head, _, body = vault.seal(SECRET, context=PLACE).rpartition(".")
    other = "A" if body[damage] != "A" else "B"
    at = damage % len(body)
    with pytest.raises(VaultError):
        vault.open(f"{head}.{body[:at]}{other}{body[at + 1 :]}x", context=PLACE)


@given(st.one_of(st.text(), st.text().map("v1.k1.{}".format)))
def test_anything_else_is_refused_in_words(text: str) -> None:
    with pytest.raises(VaultError) as refused:
        Vault([("k1", KEY)]).open(text, context=PLACE)
    assert "\n" not in str(refused.value).replace(text, "")


def test_errors_say_nothing_of_the_secret(vault: Vault) -> None:
    sealed = vault.seal(SECRET, context=PLACE)
    with pytest.raises(VaultError) as refused:
        vault.open(sealed, context=("elsewhere",))
    assert SECRET not in repr(refused.value)
    assert sealed not in repr(refused.value)
    assert refused.value.__cause__ is None


def test_a_vault_needs_a_key() -> None:
    with pytest.raises(VaultError):
        Vault([])


def test_new_keys_are_32_bytes_each_with_a_name_of_its_own() -> None:
    (first, one), (second, two) = new_key(), new_key()
    assert first != second
    assert len(decoded_key(one)) == len(decoded_key(two)) == 32
    assert one != two


@pytest.mark.parametrize(
    ("encoded", "problem"),
    [("", "32 bytes"), ("YWJj", "32 bytes"), ("not base64!", "not base64"), ("a" * 43, "base64")],
)
def test_a_key_that_is_none_is_refused_in_one_line(encoded: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        decoded_key(encoded)


def test_repr_of_a_vault_shows_no_key() -> None:
    key = os.urandom(32)
    assert key.hex() not in repr(Vault([("k1", key)]))
    assert repr(key) not in repr(Vault([("k1", key)]))
