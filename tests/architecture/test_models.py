"""Rows of a tenant say whose they are, and are found through that."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Index, Table, UniqueConstraint

from portal import app as _wires_every_model  # noqa: F401
from portal.extensions import db

# Tables of the host: their rows belong to no organization, or to a person across organizations.
HOST_TABLES = {
    "users": "an account lives at the host",
    "organizations": "the tenants themselves",
    "sign_in_sessions": "of a person, across organizations",
    "account_links": "of a person; the organization is where an invitation leads",
    "sign_in_attempts": "before anyone is known",
    "encryption_keys": "of the installation",
    "workers": "of the installation",
    "heartbeats": "of the installation",
    "delivery_secrets": "reached through its delivery only",
    "passed_tests": "keyed by scope",
    "sender_test_runs": "keyed by scope",
    "rotated_tokens": "keyed by scope",
    "secret_drafts": "of a sign-in session",
    "idempotent_answers": "keyed by scope",
    "send_counts": "keyed by the sender, the organization or the recipient that a limit is of",
}
# Indexes that do not begin with the organization, each with the read that needs it.
CROSSING = {
    "ix_deliveries_state_priority_organization_id_next_attempt_at": "the worker claims",
    "ix_deliveries_payload_id": "all deliveries of one notification",
    "ix_deliveries_message_id": "a bounce or a reply names nothing else",
    "ix_memberships_user_id": "the organizations of a person",
    "uq_api_tokens_token_hash": "a token says which organization it is of",
    "uq_approvers_token_hash": "a decision link says which approval it is of",
    "uq_approvers_approval_id_user_id": "a person approves once",
    "uq_attempts_delivery_id_number": "attempts are numbered within a delivery",
    "uq_suppressions_key": "the key begins with the organization",
    "uq_sender_versions_sender_id_number": "versions are numbered within a sender",
}
# `scope` is "host" or the organization's id: a key where NULL could not stand.
OWNERS = {"organization_id", "scope"}


def tables() -> list[Table]:
    return sorted(db.metadata.tables.values(), key=lambda table: table.name)


def keys_of(table: Table) -> Iterator[tuple[str, list[str]]]:
    """Name and columns of each index and unique constraint."""
    for index in table.indexes:
        yield str(index.name), _columns(index)
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield _name(constraint), _columns(constraint)


def test_there_are_models() -> None:
    assert {"organizations", "deliveries", "audit_entries"} <= {table.name for table in tables()}


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.name)
def test_a_table_names_its_organization_or_is_the_hosts(table: Table) -> None:
    is_tenants = "organization_id" in table.columns
    assert is_tenants or table.name in HOST_TABLES, (
        f"{table.name} has no organization_id; add it, or list the table with the reason"
    )


@pytest.mark.parametrize(
    "table", [t for t in tables() if t.name not in HOST_TABLES], ids=lambda table: table.name
)
def test_the_organization_leads_every_index_of_a_tenants_table(table: Table) -> None:
    wrong = [
        f"{name} begins with {columns[0]}"
        for name, columns in keys_of(table)
        if columns[0] not in OWNERS and name not in CROSSING
    ]
    assert not wrong, f"{table.name}: {wrong}; or list the index in CROSSING with the read"


def test_what_is_listed_here_exists() -> None:
    names = {table.name for table in tables()}
    assert set(HOST_TABLES) <= names, sorted(set(HOST_TABLES) - names)
    keys = {name for table in tables() for name, _ in keys_of(table)}
    assert set(CROSSING) <= keys, sorted(set(CROSSING) - keys)


def test_times_are_stored_with_their_zone_or_as_utc() -> None:
    naive = [
        f"{table.name}.{column.name}"
        for table in tables()
        for column in table.columns
        if "DATETIME" in str(column.type).upper() and type(column.type).__name__ != "UtcDateTime"
    ]
    assert not naive, f"use portal.database.UtcDateTime: {naive}"


def _columns(key: Index | UniqueConstraint) -> list[str]:
    return [getattr(column, "name", str(column)) for column in key.columns]


def _name(constraint: UniqueConstraint) -> str:
    """The name that the naming convention gives in the database."""
    return f"uq_{constraint.table.name}_{'_'.join(_columns(constraint))}"
