"""A small network of namespaces on this machine (Linux, as root): machines that each have a network
of their own, and a switch between them from which any of them can be unplugged.

An unplugged machine keeps its link and its address: what it sends and what is sent to it vanishes
without an error, as behind a firewall that drops, or a cable that was pulled at the far end.
"""

import ctypes
import ipaddress
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SUBNET = "10.77.0.0/24"
_SWITCH = "switch"
_NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000  # setns(2)


class NotAllowed(Exception):
    """This machine cannot make namespaces; says why."""


class Network:
    """`addresses`: where each machine is reached by the others."""

    def __init__(self, machines: Sequence[str]) -> None:
        hosts = ipaddress.ip_network(SUBNET).hosts()
        self.addresses = {machine: str(next(hosts)) for machine in machines}
        # Another run on this machine has namespaces of its own.
        self._prefix = f"gatepost-{os.getpid()}"

    def unplug(self, machine: str) -> None:
        """From here on nothing reaches it or leaves it."""
        _ip("-n", self.namespace(_SWITCH), "link", "set", f"to-{machine}", "nomaster")

    def plug_in(self, machine: str) -> None:
        _ip("-n", self.namespace(_SWITCH), "link", "set", f"to-{machine}", "master", "bridge")

    def enter(self, machine: str) -> None:
        """This thread, and the processes and threads that it starts, are on that machine from
        now."""
        _enter(_NAMESPACES / self.namespace(machine))

    @contextmanager
    def being_on(self, machine: str) -> Iterator[None]:
        """This thread is on that machine within the block."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            self.enter(machine)
            yield
        finally:
            _set_namespace(here)
            os.close(here)

    def namespace(self, machine: str) -> str:
        return f"{self._prefix}-{machine}"


@contextmanager
def made(machines: Sequence[str]) -> Iterator[Network]:
    """Raises NotAllowed."""
    if shutil.which("ip") is None:
        raise NotAllowed("there is no command ip; install iproute2")
    network = Network(machines)
    switch = network.namespace(_SWITCH)
    try:
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "name", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        for machine, address in network.addresses.items():
            _add(switch, network.namespace(machine), f"to-{machine}", address)
        yield network
    finally:
        for namespace in map(network.namespace, (_SWITCH, *machines)):
            if (_NAMESPACES / namespace).exists():
                _ip("netns", "delete", namespace)


def _add(switch: str, namespace: str, port: str, address: str) -> None:
    _ip("netns", "add", namespace)
    _ip("-n", switch, "link", "add", port, "type", "veth", "peer", "eth0", "netns", namespace)
    _ip("-n", switch, "link", "set", port, "master", "bridge", "up")
    _ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
    for link in ("lo", "eth0"):
        _ip("-n", namespace, "link", "set", link, "up")


def _ip(*words: str) -> None:
    command = ["ip", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotAllowed(f"{' '.join(command)}: {done.stderr.strip()}")


def _enter(path: Path) -> None:
    there = os.open(path, os.O_RDONLY)
    try:
        _set_namespace(there)
    finally:
        os.close(there)


def _set_namespace(descriptor: int) -> None:
    # os.setns comes with Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
