"""What tests of all floors share."""

import gc
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from minidl_cli.config.schema import Config
from minidl_cli.training.build import load_config
from tests.faults.processes import FORKS

# A small network with odd widths on a few samples, whose last batch is not full.
SMALL = """
data:
  disc: {train: 47, test: 31}
model: [linear: 7, tanh, linear: 5, relu, linear: 2]
loss: mse
optimizer:
  sgd: {lr: 0.1, momentum: 0.5}
training: {epochs: 3, batch_size: 10}
"""

# The same examples in every run: a failure is there for everyone, and no folder of examples is left behind.
settings.register_profile("minidl", derandomize=True, database=None, deadline=None)
settings.load_profile("minidl")

MakeConfig = Callable[..., Config]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Takes away what makes files survive a power failure: no test can see that, and it takes a tenth of the time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps compiled libraries in a folder that all tests share, those of other processes, too."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: take minutes together; left out unless asked for, as by `make faults`")
    config.addinivalue_line("markers", "cuda: need a GPU, and are skipped where there is none; `make gpu`")
    config.addinivalue_line("markers", "figures: draw figures, though `no_figures` leaves out those of other tests")


@pytest.fixture
def no_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the figures of run folders, which take longer to draw than small networks to train."""
    if request.node.get_closest_marker("figures") is None:
        leave_out_figures(monkeypatch)


def leave_out_figures(patch: pytest.MonkeyPatch) -> None:
    """Do what `no_figures` does, for as long as a patch lasts."""
    patch.setattr("minidl_cli.sweeps.drawing.draw_figures", lambda *_: None)
    for name in ("variants", "rounds", "final_points", "final_pairs", "predictions"):
        patch.setattr(f"minidl_cli.display.figures.draw_{name}", lambda *_, **__: None)


@pytest.fixture
def forked_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forks the workers of sweeps off a process that has imported PyTorch, which takes longer than all they do."""
    monkeypatch.setattr("minidl_cli.sweeps.workers.get_context", lambda _: FORKS)


@pytest.fixture
def small_file(tmp_path: Path) -> Path:
    """A config file of a small network."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def small_config(small_file: Path) -> MakeConfig:
    """Returns the small config with overrides, such as `small_config("training.epochs=5")`."""

    def make(*settings: str) -> Config:
        return load_config(small_file, settings)

    return make


@dataclass
class Outcome:
    """What a command did: its exit code, and what it printed."""

    code: int
    out: str
    err: str


CommandLine = Callable[..., Outcome]


@pytest.fixture
def minidl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[CommandLine]:
    """Runs a command in a temporary folder, as in a pipe: `minidl("train", "small.yaml")`."""
    from minidl_cli.cli import main

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["minidl", *map(str, arguments)])
        code: str | int | None = 0
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            try:
                main()
            except SystemExit as stop:
                code = stop.code
        gc.unfreeze()  # of what the command left, there may be garbage now
        captured = capfd.readouterr()
        return Outcome(int(code or 0), captured.out, captured.err)

    monkeypatch.chdir(tmp_path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
