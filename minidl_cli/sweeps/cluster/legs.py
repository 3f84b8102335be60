"""What happens on a cluster's workers: they train a chunk for a while, a leg, and hand back what came of it."""

import ctypes
import hashlib
import platform
import signal
from asyncio import to_thread
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock, Timer, get_ident
from time import monotonic
from traceback import format_exc
from typing import Any, ClassVar

import torch

from ... import __version__
from ...compiled.library import find_compiler
from ...config.schema import Config
from ...data.dataset import Parcel
from ...errors import CompilationError, InputError, MinidlError, is_lack_of_memory
from ...interrupts import GRACE_SECONDS, Interrupted
from ...nn.product import stacking_is_exact
from ...runs.environment import physical_memory
from ...training.checkpoint import Checkpoint
from ...training.device import find_device
from ...training.exactness import single_thread
from ...training.round import Round
from ...training.trainer import EpochRecord
from ...training.trainers import Trainers
from ..chunks import train_chunk
from ..plan import Chunk, capacity_here
from ..timetable import Timetable

# After how long to forget the data of a sweep whose client was killed, so that it could not say that it has ended.
FORGET_SECONDS = 3600.0


@dataclass
class Leg:
    """What came of training a chunk for a while.

    Attributes:
        records: the records of the epochs.
        checkpoint: the state of the stack after them; None if it was stopped before the first one.
        rounds: all rounds of the chunk if it has come to its end; none otherwise.
        error: what ended it. (Of errors that tasks raise, Dask does not tell all: of some, nobody ever hears.)
        without_data: the address of a worker that has yet to get the sweep's data.
    """

    records: list[EpochRecord] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    rounds: list[Round] = field(default_factory=list)
    error: Exception | None = None
    without_data: str | None = None


@dataclass(frozen=True)
class Facts:
    """What a process trains with, which decides over the numbers that come out.

    Attributes:
        minidl: the version of minidl, and behind a + what tells its files from others of this version.
        torch: that of PyTorch, without the build.
        python: that of Python, its first two numbers.
        compiler: the version of the C compiler; None if there is none that works.
        target: what identifies the processor that it writes for, and how.
        is_exact: whether matrix products do not depend on a round's place in a stack.
        memory: the bytes of memory of the machine.
        gpu: what identifies the GPU that was asked for; None if it has none, or none was asked for.
        gpu_memory: the bytes that stacks may take of it.
    """

    minidl: str
    torch: str
    python: str
    compiler: str | None
    target: str
    is_exact: bool
    memory: int
    gpu: str | None = None
    gpu_memory: int = 0

    @classmethod
    def here(cls, device: str = "cpu") -> "Facts":
        """Return those of this process, and of the device that rounds are to train on."""
        try:
            found = find_compiler()
            compiler, target = found.version, found.fingerprint
        except CompilationError:
            compiler, target = None, ""
        return cls(
            minidl=f"{__version__}+{_digest_of_files()}",
            torch=torch.__version__.partition("+")[0],
            python=".".join(platform.python_version_tuple()[:2]),
            compiler=compiler,
            target=target,
            is_exact=_products_are_exact(),
            memory=physical_memory(),
            **_facts_of_gpu(device),
        )


@cache
def _digest_of_files() -> str:
    package, digest = Path(__file__).parents[2], hashlib.sha256()
    for path in sorted(path for path in package.rglob("*") if path.suffix in (".py", ".c")):
        digest.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:8]


def _facts_of_gpu(device: str) -> dict[str, Any]:
    try:
        found = find_device(device)
    except InputError:
        return {}
    if found.type == "cpu":
        return {}
    identity = str(torch.cuda.get_device_properties(found).uuid)
    return {"gpu": identity, "gpu_memory": capacity_here(device=device).memory}


def _products_are_exact() -> bool:
    with single_thread():
        return stacking_is_exact(torch.float32)


async def facts(device: str) -> Facts:
    """Return the facts of this worker, which goes on listening while PyTorch is imported and a compiler is tried."""
    return await to_thread(Facts.here, device)


def train_leg(sweep: str, chunk: Chunk, saved: bytes | None, seconds: float) -> Leg:
    """Train the rounds of a chunk for a while, and return what came of it.

    Args:
        sweep: whose leg it is, as `hand_out` and `stop` take it.
        chunk: the seeds.
        saved: the checkpoint to go on from, encoded; None to start.
        seconds: after how long to stop, at the end of an epoch.
    """
    leg = Leg()
    with suppress(_Stopped), _ONE_AT_A_TIME, _AtWork(sweep):
        if sweep in _AtWork.stopped:
            return leg
        if sweep not in _trainers:
            return Leg(without_data=_address())
        deadline = _Deadline(sweep, seconds)
        try:
            checkpoint = Checkpoint.decode(saved) if saved else None
            for event in train_chunk(_trainers[sweep], chunk, deadline, checkpoint):
                match event:
                    case EpochRecord():
                        leg.records.append(event)
                    case Checkpoint():
                        leg.checkpoint = event
                        if deadline.has_come:
                            break
                    case Round():
                        leg.rounds.append(event)
        except Interrupted:
            _AtWork.is_raised = False  # what there was before has been kept
        except Exception as error:
            leg.error = _fit_to_be_sent(error)
    return leg


def _address() -> str:
    """Return the address of the worker that this thread belongs to."""
    from distributed import get_worker  # which whoever only asks for facts need not have

    address: str = get_worker().address
    return address


def _fit_to_be_sent(error: Exception) -> Exception:
    """Return an error, or if nobody expects it, one that tells it: not everything that it may hold can be sent."""
    if is_lack_of_memory(error):
        return MemoryError(str(error))
    if isinstance(error, MinidlError):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}\nOn a worker:\n{format_exc()}")


# Of each sweep that is being trained: Dask would lose data that it looks after with the only worker that has them.
_trainers: dict[str, Trainers] = {}


def hand_out(sweep: str, config: Config, device: str, parcel: Parcel) -> None:
    """Give this process what a sweep trains, in the place of sweeps that are not heard of any more.

    Args:
        sweep: its name.
        config: what to train.
        device: where to compute, as `find_device` takes it.
        parcel: the config's dataset.
    """
    for name in [name for name, last in _AtWork.last_use.items() if monotonic() > last + FORGET_SECONDS]:
        _trainers.pop(name, None)
        del _AtWork.last_use[name]
    _trainers[sweep], _AtWork.last_use[sweep] = Trainers(config, parcel(), device), monotonic()


def stop(sweep: str) -> None:
    """Have this process forget a sweep, and stop a leg of it at the end of the epoch, or soon if that takes long."""
    _trainers.pop(sweep, None)
    _AtWork.stopped.add(sweep)
    timer = Timer(GRACE_SECONDS, _AtWork.interrupt, [sweep])
    timer.daemon = True
    timer.start()


class _Deadline(Timetable):
    """Asks for a checkpoint when a leg is to end: because it is time, or because its sweep was stopped."""

    def __init__(self, sweep: str, seconds: float):
        super().__init__()
        self._sweep, self._seconds, self._end = sweep, seconds, float("inf")
        self.has_come = False

    def is_due(self, every: float) -> bool:
        # The time begins with the first epoch's end: what comes before is to build the trainer, mostly.
        self._end = min(self._end, monotonic() + self._seconds)
        self.has_come = monotonic() >= self._end or self._sweep in _AtWork.stopped
        return self.has_come


class _Stopped(Interrupted):
    """The sweep was stopped. It is raised in the thread that trains, as a signal is in a process of its own."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(number)


# A process trains one leg at a time, however many threads a worker has. Whatever is raised in a thread, at whatever
# moment, a lock that is entered as a context is left.
_ONE_AT_A_TIME = Lock()


class _AtWork:
    """The thread that trains a leg."""

    stopped: ClassVar[set[str]] = set()
    last_use: ClassVar[dict[str, float]] = {}
    # Whether what is to end the leg is on its way.
    is_raised: ClassVar[bool] = False
    _sweep: ClassVar[str | None] = None
    _thread: ClassVar[int] = 0
    _changing: ClassVar[Lock] = Lock()

    def __init__(self, sweep: str):
        self._of = sweep

    def __enter__(self) -> None:
        with self._changing:
            type(self)._sweep, type(self)._thread = self._of, get_ident()

    def __exit__(self, *_: object) -> None:
        with self._changing:
            type(self)._sweep = None
            self.last_use[self._of] = monotonic()
            # What was not raised yet would be raised in the middle of something else. (To take back what is not there
            # would have Python 3.11 look for it ever after, which makes it slower.)
            if _AtWork.is_raised:
                _raise_in(self._thread, None)
                _AtWork.is_raised = False

    @classmethod
    def interrupt(cls, sweep: str) -> None:
        """Raise in the thread that trains a leg of a sweep, if there is one."""
        with cls._changing:
            if cls._sweep == sweep:
                cls.is_raised = True
                _raise_in(cls._thread, _Stopped)


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise an exception in another thread of this process, or take back one that was not raised yet."""
    raised = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)
