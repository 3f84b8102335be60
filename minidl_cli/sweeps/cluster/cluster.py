"""The workers of a Dask cluster, as an engine."""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ...errors import InputError, MinidlWarning
from ...training.trainers import Trainers
from ..chunks import Event
from ..engine import Failure, Saved
from ..plan import Capacity, Plan
from .access import Access
from .connection import ask_workers, connect, connect_locally
from .legs import Facts
from .relay import Relay

if TYPE_CHECKING:
    from distributed import Client


class Cluster:
    """The workers of a Dask cluster, as an engine: see `Engine`.

    Each chunk is trained in legs: a task trains it for a while, and returns the epoch records and a checkpoint; the
    next leg goes on from that, wherever there is room. So all results come back through futures, no disk is shared, a
    worker that dies costs no more than a leg, and a client that is gone leaves nothing that runs for long.

    Args:
        access: the way to a running scheduler; by default a cluster on this machine, which is started, and stopped in
            the end.
    """

    def __init__(self, access: Access | None = None):
        self._access, self._stack = access, ExitStack()
        self._client: Client | None = None
        self._facts: dict[str, Facts] = {}
        self._most: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client = None
        self._stack.__exit__(kind, error, trace)

    def dismiss(self) -> None:
        """End the connection, and all workers that were started here."""
        self._client = None
        self._stack.close()

    def has_cuda(self, workers: int | None) -> bool:
        """Do what `Engine.has_cuda` says."""
        self._connect(workers, "cuda")
        return all(each.gpu for each in self._facts.values())

    def capacity(self, workers: int | None, device: str) -> Capacity:
        """Do what `Engine.capacity` says: the workers are those that are there by now, or as many as may come."""
        client = self._connect(workers, device)
        lacking = [address for address, each in self._facts.items() if device != "cpu" and not each.gpu]
        if lacking:
            raise InputError(f"--device {device}: worker {lacking[0]} has no such device")
        self._most, count = workers, workers or len(self._facts)
        machine = self._memory_of_machines(client)
        memory = count * (machine if device == "cpu" else self._memory_of_gpus())
        if self._access:
            return Capacity(count, memory, device, "the cluster", machine)
        return Capacity(count, memory, device)

    def _memory_of_machines(self, client: "Client") -> int:
        """Return the bytes that each worker has: what it is limited to, or its share of its machine's."""
        found = client.scheduler_info(n_workers=-1)["workers"]
        sharing = Counter(worker["host"] for worker in found.values())
        known = [(each, found[address]) for address, each in self._facts.items() if address in found]
        limits = (worker["memory_limit"] or each.memory // sharing[worker["host"]] for each, worker in known)
        return min(limits, default=0)

    def _memory_of_gpus(self) -> int:
        """Return the bytes that each worker has of its GPU, which several may share."""
        sharing = Counter(each.gpu for each in self._facts.values())
        return min(each.gpu_memory // sharing[each.gpu] for each in self._facts.values())

    def describe(self) -> Mapping[str, Any]:
        """Do what `Engine.describe` says."""
        return {"engine": "dask", "cluster": {address: asdict(each) for address, each in self._facts.items()}}

    def start(self, plan: Plan) -> None:
        """Do nothing: the workers are there."""

    def wait(self) -> None:
        """Do nothing: the workers are there."""

    def lack_of_compilers(self) -> str | None:
        """Do what `Engine.lack_of_compilers` says; and warn if what is compiled is not the same everywhere."""
        lacking = [address for address, each in self._facts.items() if each.compiler is None]
        if lacking:
            return f"worker {lacking[0]} has no C compiler"
        if len({each.target for each in (*self._facts.values(), Facts.here())}) > 1:
            problem = "compilers or processors in the cluster differ, and so may the last digits of what they train"
            warnings.warn(problem, MinidlWarning, stacklevel=2)
        return None

    def train(self, trainers: Trainers, plan: Plan, saved: Saved) -> Iterator[Event | Failure]:
        """Do what `Engine.train` says."""
        client = self._connect(None, plan.device)
        yield from Relay(client, trainers, plan, saved, self._facts, self._most).events()

    def _connect(self, workers: int | None, device: str) -> "Client":
        if self._client is None:
            way = connect(self._access) if self._access else connect_locally(workers)
            self._client = self._stack.enter_context(way)
            self._facts = ask_workers(self._client, device)
        return self._client
