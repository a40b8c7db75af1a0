"""Each floor imports only from the floors below it; a lower floor never calls up."""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.source import Import, Module, functions, imports, modules

# Highest first. Packages of one floor do not import one another, but for the lowest floor, which
# is made of single bricks.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("cli", "__main__"),
    ("app",),
    ("web", "demo", "background"),
    ("records",),
    ("notifications",),
    ("delivery",),
    ("letters",),
    ("settings",),
    ("smtp", "identity"),
    ("audit",),
    (),
)
LOWEST = len(FLOORS) - 1
REQUEST_NAMES = {"request", "session", "g"}


def floor(brick: str) -> int:
    """The index of a floor; a brick that no floor names lies on the lowest."""
    return next((index for index, bricks in enumerate(FLOORS) if brick in bricks), LOWEST)


def brick_of(dotted: str) -> str:
    """The first part of a module's name below `portal`."""
    return dotted.split(".")[1] if "." in dotted else ""


def own_imports(module: Module) -> Iterator[tuple[str, Import]]:
    """The brick and the import, for each import of our own code."""
    for found in imports(module.tree):
        if found.module == "portal" and found.name:
            yield found.name, found
        elif found.module.startswith("portal."):
            yield brick_of(found.module), found


def test_every_import_goes_down() -> None:
    wrong = []
    for module in modules("portal"):
        here = brick_of(module.name)
        for there, found in own_imports(module):
            goes_up = floor(there) < floor(here)
            goes_aside = floor(there) == floor(here) != LOWEST and there != here
            if goes_up or goes_aside:
                wrong.append(f"{module.place}:{found.line} ({here}) imports {found.dotted}")
    assert not wrong, "Imports against the order of tests/architecture/test_imports.py:\n" + (
        "\n".join(wrong)
    )


def test_the_bricks_of_the_lowest_floor_do_not_import_in_circles() -> None:
    needs: dict[str, set[str]] = {}
    for module in modules("portal"):
        here = brick_of(module.name)
        if here and floor(here) == LOWEST:
            needs.setdefault(here, set()).update(there for there, _ in own_imports(module))
    while free := {brick for brick, others in needs.items() if not others & set(needs) - {brick}}:
        for brick in free:
            del needs[brick]
    assert not needs, f"these import one another in a circle: {sorted(needs)}"


def test_extensions_are_bare() -> None:
    (extensions,) = (module for module in modules("portal") if module.name == "portal.extensions")
    assert not list(own_imports(extensions))


def test_portal_itself_holds_only_a_docstring() -> None:
    (package,) = (module for module in modules("portal") if module.name == "portal")
    assert ast.get_docstring(package.tree)
    assert len(package.tree.body) == 1, "portal/__init__.py holds a docstring and nothing else"


@pytest.mark.parametrize("folder", ["portal", "tests"])
def test_no_own_import_stands_inside_a_function(folder: str) -> None:
    wrong = [
        f"{module.place}:{found.line} imports {found.dotted} inside {function.name}"
        for module in modules(folder)
        for function in functions(module)
        for found in imports(function)
        if found.module.split(".")[0] in ("portal", "tests")
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_below_the_edge_knows_the_request() -> None:
    """Capabilities are called by pages, API, command line and worker alike."""
    edge = floor("web")
    wrong = [
        f"{module.place}:{found.line} imports {found.dotted}"
        for module in modules("portal")
        if floor(brick_of(module.name)) > edge and not _is_form(module)
        for found in imports(module.tree)
        if found.module == "flask" and found.name in REQUEST_NAMES
    ]
    assert not wrong, "Pass what is needed as an argument:\n" + "\n".join(wrong)


def test_portal_never_imports_the_tests() -> None:
    wrong = [
        f"{module.place}:{found.line}"
        for module in modules("portal")
        for found in imports(module.tree)
        if found.module.split(".")[0] == "tests"
    ]
    assert not wrong, wrong


def _is_form(module: Module) -> bool:
    return "forms" in module.name.split(".")
