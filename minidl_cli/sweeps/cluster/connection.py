"""Connecting to a cluster, or starting one on this machine; and whether its workers are fit to train."""

import logging
import os
import signal
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import resource_tracker
from queue import Empty, SimpleQueue
from socket import create_connection
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING

from ...errors import InputError, MinidlWarning
from ...escaping import shown
from ...interrupts import Interrupted
from ..engine import TRIES
from ..plan import default_workers
from .access import Access, security_class
from .legs import Facts, facts

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

# How long a scheduler may take to answer, its workers (which import PyTorch), and a connection or cluster to end.
CONNECT_SECONDS, ANSWER_SECONDS, CLOSE_SECONDS = 10, 60, 1
# How long it may take to be let in: three questions.
START_SECONDS = 3 * CONNECT_SECONDS
# What has to be the same everywhere, and what people call it.
VERSIONS = {"minidl": "minidl", "torch": "PyTorch", "python": "Python"}
# Those of Dask, and of what it is made of.
LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado.application", "asyncio")


SILENT = logging.CRITICAL + 1
# Of a cluster on this machine. A task is given up after as many deaths as a chunk of the built-in workers. There is
# nothing to be seen by a browser, as anyone on the machine could look. The rest is for speed (see benchmarks/LOG.md):
# nobody looks at what Dask finds out about itself many times a second; and Dask has the C library give memory back at
# once, which is taken again in the next epoch.
SETTINGS = {
    "distributed.scheduler.allowed-failures": TRIES - 1,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "1h",
    "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1, "MKL_NUM_THREADS": 1},
}


@contextmanager
def connect(access: Access) -> Iterator["Client"]:
    """Connect to a running scheduler, until the context ends.

    Raises:
        InputError: there is none, it does not let us in, or it has no workers.
    """
    from distributed import Client

    place = f"--address {shown(access.address)}"
    with _quiet():
        try:
            # What is wrong with a network this tells better, and sooner.
            create_connection((access.host, access.port), timeout=CONNECT_SECONDS).close()
        except OSError as error:
            raise InputError(f"{place}: cannot be reached: {error.strerror or error}") from error
        make = partial(Client, access.address, security=access.security, set_as_default=False)
        try:
            client = _within(START_SECONDS, partial(make, timeout=CONNECT_SECONDS))
        except Empty as error:
            problem = f"does not answer within {START_SECONDS} seconds; see whether the scheduler hangs"
            raise InputError(f"{place}: {problem}") from error
        except (OSError, ValueError, RuntimeError, TypeError, AssertionError) as error:
            raise InputError(f"{place}: does not let us in: {_reason(error)}") from error
        with _closing(client):
            threads = client.nthreads()
            if not threads:
                raise InputError(f"{place}: has no workers; start some, as docs/cluster.md shows")
            if several := [f"{address} has {count}" for address, count in threads.items() if count > 1]:
                problem = f"workers train with one thread each, but {several[0]}"
                warnings.warn(f"{problem}; start them with --nthreads 1 --nworkers -1", MinidlWarning, stacklevel=2)
            yield client


def _within(seconds: float, make: "Callable[[], Client]") -> "Client":
    """Return a client that is made in a thread of its own: of a scheduler that hangs, Dask's own limit takes no notice.

    Raises:
        Empty: it takes too long; it is left alone.
        Exception: whatever the making of it raises.
    """
    made: SimpleQueue[Client | Exception] = SimpleQueue()

    def put() -> None:
        try:
            made.put(make())
        except Exception as error:
            made.put(error)

    Thread(target=put, daemon=True).start()
    found = made.get(timeout=seconds)
    if isinstance(found, Exception):
        raise found
    return found


@contextmanager
def connect_locally(workers: int | None) -> Iterator["Client"]:
    """Start a cluster on this machine, and stop it when the context ends.

    Others on the machine cannot reach it: what it takes to be let in is only known to this process and the workers.

    Args:
        workers: how many processes; by default one for each core.

    Raises:
        InputError: dask or cryptography is missing, or a cluster cannot be started here.
    """
    security = security_class().temporary()
    import dask
    from distributed import Client, LocalCluster

    Interrupted.begin()
    with _quiet(), TemporaryDirectory(prefix="minidl-") as folder:
        cluster = None
        try:
            # A cluster that is interrupted while it starts leaves processes behind.
            with dask.config.set(SETTINGS | {"temporary-directory": folder}), _deaf_children(), Interrupted.deferred():
                cluster = LocalCluster(
                    n_workers=workers or default_workers(),
                    threads_per_worker=1,
                    memory_limit=0,  # stacks are made to fit
                    security=security,
                    dashboard_address=None,
                    scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                    local_directory=folder,
                    silence_logs=SILENT,
                )
            with Client(cluster, timeout=CONNECT_SECONDS, set_as_default=False) as client:
                yield client
        except (OSError, RuntimeError) as error:
            Interrupted.check()
            if cluster:
                raise
            raise InputError(f"--engine dask: a cluster cannot be started here: {_reason(error)}") from error
        finally:
            if cluster:
                _end(cluster)


def ask_workers(client: "Client", device: str, workers: Collection[str] | None = None) -> dict[str, Facts]:
    """Return the facts of workers, by their addresses.

    Args:
        client: the connection to the scheduler.
        device: the device that is asked for, besides.
        workers: whom to ask; None for all.

    Raises:
        InputError: a worker does not answer, or has other versions than this process.
    """
    # What `client.run` does, but for the time that workers have: a worker that hangs would take forever.
    ask = partial(client.sync, client._run, facts, device, on_error="return")
    try:
        found = ask(workers=None if workers is None else list(workers), callback_timeout=ANSWER_SECONDS)
    except TimeoutError as error:
        problem = f"not all workers of the cluster answer within {ANSWER_SECONDS} seconds"
        raise InputError(f"{problem}; see whether one hangs") from error
    except (OSError, RuntimeError) as error:
        raise InputError(f"the connection to the cluster is lost: {_reason(error)}") from error
    if workers is not None:  # one that has come later may be gone again
        found = {address: told for address, told in found.items() if not isinstance(told, OSError)}
    return check_workers(found, Facts.here())


def check_workers(found: Mapping[str, Facts | Exception], own: Facts) -> dict[str, Facts]:
    """Return the facts of all workers, given those or what came of asking for them.

    Raises:
        InputError: a worker has other versions than this process; a line for each.
    """
    problems, checked = list[str](), dict[str, Facts]()
    for address, told in sorted(found.items()):
        if isinstance(told, Facts):
            checked[address] = told
            differing = [name for name in VERSIONS if getattr(told, name) != getattr(own, name)]
            other = [f"{VERSIONS[name]} {getattr(told, name)} (here {getattr(own, name)})" for name in differing]
            if other:
                problems.append(f"worker {address}: has {', '.join(other)}; install the same versions")
        else:
            problems.append(f"worker {address}: cannot tell its versions: {type(told).__name__}: {told}")
    if problems:
        raise InputError(problems)
    for address in (address for address, each in checked.items() if not each.is_exact):
        problem = "matrix products give a round other last digits at other places in a stack there"
        warnings.warn(f"worker {address}: {problem}; start it anew, for minidl alone", MinidlWarning, stacklevel=2)
    return checked


def _end(cluster: "LocalCluster") -> None:
    """End a cluster of this machine: in peace if that does not take long, as where a worker is in a long epoch."""
    processes = [worker.pid for worker in cluster.workers.values() if worker.pid]
    closing = Thread(target=_close, args=[cluster], daemon=True)
    closing.start()
    closing.join(CLOSE_SECONDS)
    if closing.is_alive():
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        closing.join(CLOSE_SECONDS)


def _close(cluster: "LocalCluster") -> None:
    with suppress(Exception):  # it is over, in whatever way
        cluster.close()


@contextmanager
def _closing(client: "Client") -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(Exception):  # it is over, in whatever way
            client.close(timeout=CLOSE_SECONDS)


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Keep Ctrl-C, and the end of a terminal, from processes that are started by threads that start in the context.

    They go to every process of the terminal, but the first one decides when the workers end.
    """
    # Its start would unblock them.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGHUP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Dask: what users need to know, minidl says."""
    import dask

    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(SILENT)
    try:
        # Checkpoints travel with the tasks that go on from them.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _reason(error: BaseException) -> str:
    """Return the first cause of an error, which Dask hides behind others."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(error) or type(error).__name__
