"""The log: one line an event, whoever writes it."""

import json
import subprocess
import sys

SCRIPT = """
import logging
import sys
import warnings
from portal import logs
logs.take_over(sys.argv[1])
logs.take_over(sys.argv[1])
logs.logger("worker").info("sent")
try:
    raise LookupError("nothing there")
except LookupError:
    logging.getLogger("library").exception("Error reading from %s", "queue")
logging.getLogger("library").info("not worth a line")
warnings.warn("old")
logs.tell("Listening.")
raise LookupError("in the end")
"""


def said(log_format: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, log_format], capture_output=True, text=True, check=False
    )


def test_whatever_a_role_says_is_one_json_object_a_line() -> None:
    done = said("json")
    ours, theirs, warned, told, ended = (json.loads(line) for line in done.stderr.splitlines())
    assert not done.stdout
    assert (ours["part"], ours["event"], ours["level"]) == ("worker", "sent", "info")
    assert (theirs["part"], theirs["event"]) == ("library", "Error reading from queue")
    assert theirs["level"] == "error" and "nothing there" in theirs["exception"]
    assert warned["level"] == "warning" and "UserWarning: old" in warned["event"]
    assert (told["event"], told["level"]) == ("Listening.", "info")
    assert ended["level"] == "critical" and "in the end" in ended["exception"]


def test_as_text_a_stack_stands_in_the_line_of_its_event() -> None:
    done = said("text")
    assert done.stdout == "Listening.\n"
    ours, theirs, warned, ended = done.stderr.splitlines()
    assert "sent" in ours and "UserWarning: old" in warned
    assert "Error reading from queue" in theirs and "LookupError: nothing there" in theirs
    assert "uncaught" in ended and "LookupError: in the end" in ended
