"""One reader of the environment, one caller of the clock: the tests patch one place."""

import ast
from collections.abc import Iterator

from tests.architecture.source import Module, dotted_name, imports, modules

# How the clock can be spelled; `time.sleep` and `time.gmtime(seconds)` read nothing.
CLOCK_CALLS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.clock_gettime",
    "uuid.uuid1",
    "uuid.uuid7",
}
CLOCK_NAMES = {name.rpartition(".")[2] for name in CLOCK_CALLS if name.startswith("time.")}


def test_only_the_configuration_reads_the_environment() -> None:
    wrong = [
        f"{module.place}:{line}"
        for module in modules("portal")
        if module.name != "portal.config"
        for line in _environment_reads(module)
    ]
    assert not wrong, "Take it from portal.config.Config:\n" + "\n".join(wrong)


def test_only_the_clock_reads_the_clock() -> None:
    wrong = [
        f"{module.place}:{line}"
        for module in modules("portal")
        if module.name != "portal.clock"
        for line in _clock_reads(module)
    ]
    assert not wrong, "Take the time from portal.clock:\n" + "\n".join(wrong)


def _environment_reads(module: Module) -> Iterator[int]:
    for node in ast.walk(module.tree):
        is_read = dotted_name(node) in ("os.environ", "os.environb", "os.getenv", "os.getenvb")
        if isinstance(node, ast.Attribute) and is_read:
            yield node.lineno
    for found in imports(module.tree):
        if found.module == "os" and found.name in ("environ", "environb", "getenv", "getenvb"):
            yield found.line


def _clock_reads(module: Module) -> Iterator[int]:
    for node in ast.walk(module.tree):
        # Also where it is only named, as a default for example.
        if isinstance(node, ast.Attribute) and dotted_name(node) in CLOCK_CALLS:
            yield node.lineno
    for found in imports(module.tree):
        if found.module == "time" and found.name in CLOCK_NAMES:
            yield found.line
