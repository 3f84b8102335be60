"""Several hosts on one machine: network namespaces, joined by a switch, each with an address and a link to cut."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import pytest

from tests.faults.processes import Process, Processes

# All of it lives in namespaces of its own: no name can clash, no rights are needed where users may make namespaces,
# and nothing is left of it once its last process has ended. The first of them ends when its standard input does, so
# with the tests, even if they are killed. (A switch would wait for 15 s before it passes on anything.)
ROOM = """
mount -t tmpfs none /run && mkdir /run/netns && ip netns add switch &&
ip -n switch link add bridge type bridge forward_delay 0 && ip -n switch link set dev bridge up &&
echo ready && exec cat
"""
PLUG = """
ip netns add $1 && ip link add eth0 netns $1 type veth peer name $1 netns switch &&
ip -n switch link set dev $1 master bridge up &&
ip -n $1 link set dev lo up && ip -n $1 address add $2/24 dev eth0 && ip -n $1 link set dev eth0 up
"""
PROGRAMS = ("ip", "nsenter", "setpriv", "unshare")
# Wherever these stand, the process that follows ends with the one that starts it, even if that is killed.
MORTAL = ("setpriv", "--pdeathsig=KILL", "--")


class Host:
    """A machine, as far as its processes can tell: an address, and a home that no other host looks into.

    Args:
        name: its name.
        address: its IP address.
        folder: has its home, where programs start, and what they print.
        enter: the words that a program is started with to run there.
    """

    def __init__(self, name: str, address: str, folder: Path, enter: Sequence[str] = ()):
        self.name, self.address = name, address
        self._enter = (*enter, *(MORTAL if shutil.which("setpriv") else ()))
        home = folder / "home"
        home.mkdir(parents=True)
        (folder / "printed").mkdir()
        self.home, self.processes = home, _Programs(home, folder / "printed")

    @property
    def minidl(self) -> dict[str, Any]:
        """What `Training.go_on` takes to train from here."""
        return {"is_forked": False, **self._started((sys.executable, "-m", "minidl_cli"))}

    def start(self, program: str, *arguments: str | Path, **variables: str) -> Process:
        """Start a program there, with more variables of the environment."""
        return self.processes.start(*arguments, **self._started((program,), variables))

    def run(self, program: str, *arguments: str | Path) -> str:
        """Start a program there, wait for its end, and return what it prints."""
        process = self.start(program, *arguments)
        assert process.wait() == 0, process.err
        return process.out

    def stop(self) -> None:
        """Kill all that was started there."""
        self.processes.kill_all()

    def _started(self, program: Sequence[str], variables: dict[str, str] | None = None) -> dict[str, Any]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("DASK_", "XDG_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        own = {"PATH": path, "HOME": str(self.home)}
        return {"program": (*self._enter, *program), "env": environment | own | (variables or {})}


class _Programs(Processes):
    """Programs that are gone once they are killed."""

    def kill_all(self) -> None:
        super().kill_all()
        for program in self._started:
            program.wait()


class FarHost(Host):
    """A host with a link to cut.

    Args:
        room: the process whose namespaces all hosts live in.
    """

    def __init__(self, name: str, address: str, folder: Path, room: int):
        folder.mkdir()
        self._room = (
            "nsenter",
            f"--target={room}",
            "--user",
            "--preserve-credentials",
            "--mount",
            "--net",
            f"--wd={folder}/home",
        )
        super().__init__(name, address, folder, (*self._room, "nsenter", f"--net=/run/netns/{name}"))
        self._in_room("sh", "-c", PLUG, "sh", name, address)

    def cut(self) -> None:
        """Cut its link: what is sent from and to it is lost, and nobody is told."""
        self._in_room("ip", "-n", "switch", "link", "set", "dev", self.name, "down")

    def mend(self) -> None:
        """Mend its link."""
        self._in_room("ip", "-n", "switch", "link", "set", "dev", self.name, "up")

    def _in_room(self, *command: str) -> None:
        subprocess.run((*self._room, *command), check=True, stdin=DEVNULL)


class Network:
    """Hosts that reach each other.

    Args:
        folder: where each has its own.
        room: the process whose namespaces they live in.
    """

    def __init__(self, folder: Path, room: int):
        self._folder, self._room = folder, room
        self.hosts: list[FarHost] = []

    def add(self, name: str) -> FarHost:
        """Add a host. The first has the address 10.0.0.1, the second 10.0.0.2, and so on."""
        self.hosts.append(FarHost(name, f"10.0.0.{len(self.hosts) + 1}", self._folder / name, self._room))
        return self.hosts[-1]


@contextmanager
def make_network(folder: Path) -> Iterator[Network]:
    """Make a network; the test is left out where nobody may do that. No program outlives it."""
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        pytest.skip(f"no hosts can be made: there is no {', '.join(missing)}")
    command = ["unshare", "--map-root-user", "--mount", "--net", "sh", "-c", ROOM]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as room:
        made = Network(folder, room.pid)
        try:
            if room.stdout.readline() != "ready\n":
                pytest.skip(f"no hosts can be made: {room.stderr.read().strip()}")
            yield made
        finally:
            for host in made.hosts:
                host.stop()
            room.send_signal(signal.SIGKILL)
