"""The log: one line an event, whoever writes it."""

import json
import subprocess
import sys

SCRIPT = """
import logging
from portal import logs
logs.configure("json")
logs.configure("json")
logs.logger("worker").info("sent")
try:
    raise LookupError("nothing there")
except LookupError:
    logging.getLogger("library").exception("Error reading from %s", "queue")
logging.getLogger("library").info("not worth a line")
"""


def test_what_a_library_logs_is_one_json_object_as_ours_is() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    ours, theirs = (json.loads(line) for line in done.stderr.splitlines())
    assert (ours["part"], ours["event"], ours["level"]) == ("worker", "sent", "info")
    assert (theirs["part"], theirs["event"]) == ("library", "Error reading from queue")
    assert theirs["level"] == "error" and "nothing there" in theirs["exception"]
