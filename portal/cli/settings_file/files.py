"""Files that a settings file points to."""

from pathlib import Path

from portal.cli.settings_file.document import Section, Wrong


def content(section: Section, key: str, folder: Path, *, longest: int) -> bytes:
    """The bytes of the file that a key names, relative to `folder`; at most `longest` octets.
    Raises Wrong."""
    path = folder / section.values[key]
    try:
        with path.open("rb") as file:
            found = file.read(longest + 1)
    except OSError as problem:
        message = f"{path} cannot be read: {problem.strerror}."
        raise Wrong([section.problem(key, message)]) from None
    if len(found) > longest:
        message = f"{path} is larger than {longest // 1024} KiB."
        raise Wrong([section.problem(key, message)])
    return found
