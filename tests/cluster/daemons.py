"""A real scheduler with real workers, as people start them."""

import re
from pathlib import Path

from tests.cluster.certificates import Authority
from tests.cluster.hosts import Host
from tests.faults.processes import Process

# How long a scheduler waits for a worker that does not answer: Dask takes no less than 11 s.
IMPATIENT = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s"}
# Where Dask's web pages are: there is no way to have none.
HIDDEN = "127.0.0.1:0"


class Worker:
    """A program that keeps one worker process, which it starts again when it dies."""

    def __init__(self, host: Host, program: Process):
        self.host, self.program = host, program

    @property
    def pid(self) -> int | None:
        """The number of the worker process; None while there is none."""
        found = self.program.workers()
        return found[0] if found else None

    def starts(self) -> int:
        """Return how often it has come as far as to be known to the scheduler."""
        return self.program.err.count("Registered to:")


class Daemons:
    """A scheduler, and its workers.

    Args:
        host: where the scheduler runs.
        authority: whose certificates they have; None for a cluster without TLS.
    """

    def __init__(self, host: Host, authority: Authority | None):
        self.host, self._authority = host, authority
        self._options: dict[Host, tuple[str, ...]] = {}
        self.workers: list[Worker] = []
        address = f"{'tls' if authority else 'tcp'}://{host.address}"
        self.scheduler = host.start(
            *("dask", "scheduler", "--host", address, "--port", "0", "--dashboard-address", HIDDEN),
            *self.certificates(host),
            **IMPATIENT,
        )
        self.scheduler.wait_until(self._find_address)
        self.address = self._find_address()

    def certificates(self, host: Host) -> tuple[str, ...]:
        """Return the options that name a host's certificates, of minidl and of Dask."""
        if self._authority is None:
            return ()
        if host not in self._options:
            self._options[host] = self._authority.certify(host.home / "tls")
        return self._options[host]

    def options(self, host: Host) -> tuple[str, ...]:
        """Return the options of a sweep that is started on a host."""
        return ("--engine", "dask", "--address", self.address, *self.certificates(host))

    def add_worker(self, host: Host, *options: str | Path, **variables: str) -> Worker:
        """Start a worker, and wait until the scheduler knows it."""
        program = host.start(
            *("dask", "worker", self.address, "--nthreads", "1", "--memory-limit", "0", "--dashboard-address", HIDDEN),
            *("--local-directory", host.home, *self.certificates(host), *options),
            **variables,
        )
        self.workers.append(Worker(host, program))
        program.wait_until(self.workers[-1].starts)
        return self.workers[-1]

    def tasks(self) -> int:
        """Return how many tasks workers are busy with."""
        host = self.workers[0].host
        ca, cert, key = self.certificates(host)[1::2] or (None, None, None)
        return int(host.run("python", "-c", COUNT_TASKS, self.address, str(ca), str(cert), str(key)))

    def _find_address(self) -> str:
        found = re.search(r"Scheduler at:\s+(\S+)", self.scheduler.err)
        return found[1] if found else ""


COUNT_TASKS = """
import sys
from distributed import Client, Security
address, ca, cert, key = sys.argv[1:]
files = {"tls_ca_file": ca, "tls_client_cert": cert, "tls_client_key": key} if ca != "None" else {}
with Client(address, security=Security(require_encryption=bool(files), **files)) as client:
    print(sum(map(len, client.processing().values())))
"""
