"""Templates, static files and migrations are found wherever the package lies."""

import pytest

from portal import resources


@pytest.mark.parametrize("name", ["templates", "static", "migrations"])
def test_a_folder_is_found_beside_or_inside_the_package(name: str) -> None:
    assert resources.folder(name).name == name
    assert resources.folder(name).is_dir()


def test_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="No folder is called 'secrets'"):
        resources.folder("secrets")
