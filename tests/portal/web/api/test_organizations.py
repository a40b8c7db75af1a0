"""Organizations over the API, for host tokens alone."""

import pytest

from tests.cast import Cast
from tests.portal.web.api.calling import ALERT, System, done, refused
from tests.portal.web.api.conftest import MakeSystem


def test_an_organization_is_created_read_renamed_and_deleted(host: System) -> None:
    made = done(host.post("/organizations", {"slug": "initech", "name": "Initech"}), 201)
    assert set(made) == {"id", "slug", "name", "state", "members", "created_at"}
    assert done(host.get("/organizations/initech")) == made
    renamed = done(host.patch("/organizations/initech", {"name": "Initech Europe"}))
    assert renamed == made | {"name": "Initech Europe"}
    assert done(host.call("DELETE", "/organizations/initech"), 204) is None
    refused(host.get("/organizations/initech"), 404)
    refused(host.post("/organizations/initech/alerts", ALERT), 404)
    done(host.post("/organizations", {"slug": "initech", "name": "Again"}), 201)


def test_a_short_name_is_made_of_the_name(host: System) -> None:
    assert done(host.post("/organizations", {"name": "Acme Europe"}), 201)["slug"] == "acme-europe"


def test_organizations_are_listed_by_name(host: System, cast: Cast) -> None:
    first = done(host.get("/organizations?limit=1"))
    second = done(host.get(f"/organizations?limit=1&after={first['next']}"))
    assert [row["slug"] for row in first["items"] + second["items"]] == ["acme", "globex"]
    assert first["items"][0]["members"] == 3
    assert second["next"] is None
    assert [row["slug"] for row in done(host.get("/organizations?q=LOB"))["items"]] == ["globex"]


def test_an_organization_is_suspended_and_resumed(acme: System, host: System) -> None:
    shown = done(host.patch("/organizations/acme", {"state": "suspended"}))
    assert shown["state"] == "suspended"
    (held,) = done(acme.post("/alerts", ALERT), 202)["deliveries"][:1]
    assert (held["state"], held["reason"]) == ("held", "organization_suspended")
    again = done(host.patch("/organizations/acme", {"state": "suspended", "name": "Acme Ltd"}))
    assert again == shown | {"name": "Acme Ltd"}
    assert done(host.patch("/organizations/acme", {"state": "active"}))["state"] == "active"


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"slug": "acme"}, "/slug"),
        ({"slug": "Not A Slug"}, "/slug"),
        ({"name": ""}, "/name"),
        ({"name": None}, "/name"),
        ({"title": "x"}, "/title"),
    ],
)
def test_wrong_input_is_refused_by_name(
    host: System, wrong: dict[str, object], pointer: str
) -> None:
    assert pointer in refused(host.post("/organizations", {"slug": "new", "name": "New"} | wrong))
    assert pointer == "/slug" or pointer in refused(host.patch("/organizations/acme", wrong))


@pytest.mark.parametrize("state", [None, "deleted", "", 1])
def test_a_state_that_cannot_be_set_is_refused(host: System, state: object) -> None:
    assert "/state" in refused(host.patch("/organizations/acme", {"state": state}))


def test_a_token_of_a_deleted_organization_opens_nothing(acme: System, host: System) -> None:
    done(host.call("DELETE", "/organizations/acme"), 204)
    refused(acme.get("/alerts"), 401)


def test_only_host_tokens_with_the_scope_may(acme: System, system: MakeSystem, cast: Cast) -> None:
    reader = system(None, "read")
    done(reader.get("/organizations"))
    for method, path in (
        ("POST", "/organizations"),
        ("PATCH", "/organizations/acme"),
        ("DELETE", "/organizations/acme"),
    ):
        refused(reader.call(method, path, {"name": "New", "slug": "new"}), 403)
        refused(acme.call(method, path, {"name": "New", "slug": "new"}), 403)
    refused(acme.get("/organizations"), 403)
