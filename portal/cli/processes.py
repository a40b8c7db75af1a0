"""What a process of ours asks of the operating system: its end with its parent, and its words."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2), Linux


def end_with(parent: int) -> None:
    """Ask for SIGTERM when the parent dies, even by SIGKILL. Only Linux can; elsewhere: nothing.

    Ends this process at once when the parent is gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(0)


def how_it_ended(code: int) -> str:
    """The return code of a child in words."""
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"
