"""Measure minidl on a GPU: the disc in 100 and in 10,000 rounds beside JAX, and wide networks beside the CPU.

python -m benchmarks.devices                       on a machine with a GPU, which takes about half an hour
python -m benchmarks.devices --device cpu --tiny   everything once and small, to see that it runs

Whole commands are timed from their start to their end. What an epoch takes is told from two numbers of epochs, so that
no start counts: neither that of Python and CUDA, nor compiling or capturing the steps.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from .measuring import HEAD, Comparison, Program, Rival, Side, Slope, Times, row, run_silently, seconds, show_time
from .works import DISC

PYTHON = [sys.executable, "-m"]
WIDE_MODEL = "model=[linear: {width}, relu, linear: {width}, relu, linear: 10]"


@dataclass(frozen=True)
class Size:
    """How much of the disc is trained.

    Attributes:
        epochs: of the whole command.
        log_every: after how many epochs the test samples are judged and logged.
        most_seconds: the goal.
    """

    rounds: int
    epochs: int
    log_every: int
    most_seconds: float

    @property
    def between(self) -> tuple[int, int]:
        """The two numbers of epochs that tell what one takes."""
        return self.epochs // 5 * 2, self.epochs


HUNDRED, THOUSANDS = Size(100, 1000, 1, 10), Size(10_000, 1000, 100, 120)
TINY = [Size(3, 10, 1, 10), Size(7, 10, 2, 120)]


class Devices:
    """The comparisons.

    Args:
        device: the device that minidl and JAX train on.
        folder: where all sides may write.
        turns: how often each side is measured.
        width: that of the wide networks.
    """

    def __init__(self, device: str, folder: Path, turns: int, width: int):
        self.device, self.folder, self.turns, self.width = device, folder, turns, width

    def disc(self, size: Size) -> Iterator[str]:
        """Yield a row for the whole command, and those beside JAX."""
        ours, theirs = partial(self._minidl_disc, size), partial(self._jax, size)
        taken = sorted(seconds(partial(run_silently, ours(size.epochs), caches=True)) for _ in range(self.turns))
        middle, is_met = taken[len(taken) // 2], "met" if taken[len(taken) // 2] <= size.most_seconds else "missed"
        goal = f"≤ {size.most_seconds:g} s: {is_met}"
        name = f"disc, {size.epochs:,} epochs"
        yield row(f"{name}, the whole command", f"{size.rounds:,}", f"**{show_time(middle)}**", "", "", "", goal)
        if find_spec("jax") is None:
            yield row(f"{name}, beside JAX", f"{size.rounds:,}", "", "JAX is not installed", "", "", "")
            return
        whole = [
            Program(side, command(size.epochs), caches=True) for side, command in (("minidl", ours), ("JAX", theirs))
        ]
        net = [Slope(side, command, size.between, size.epochs) for side, command in (("minidl", ours), ("JAX", theirs))]
        yield from self._compare(f"{name}, the whole command", size.rounds, whole)
        yield from self._compare(f"{name}, start-up aside", size.rounds, net, Times(1))

    def wide(self, rounds: int, epochs: int, batch_size: int) -> Iterator[str]:
        """Yield rows of a wide network for the images of digits, on the GPU beside the CPU."""

        def command(device: str, epochs: int) -> Sequence[str]:
            settings = [WIDE_MODEL.format(width=self.width), f"training.batch_size={batch_size}"]
            return self._minidl("configs/digits.yaml", rounds, epochs, device, settings)

        between = (max(1, epochs // 5 * 2), epochs)
        sides = [Slope(f"minidl, {each}", partial(command, each), between, epochs) for each in (self.device, "cpu")]
        work = f"digits, {self.width} wide, batches of {batch_size}, {epochs} epochs, start-up aside"
        yield from self._compare(work, rounds, sides)

    def _compare(self, work: str, rounds: int, sides: Sequence[Side], goal: Times | None = None) -> Iterator[str]:
        ours, theirs = sides
        for result in Comparison(work, rounds, ours, [Rival(theirs, goal)], self.turns).run():
            yield result.row

    def _minidl_disc(self, size: Size, epochs: int) -> Sequence[str]:
        return self._minidl(DISC.config, size.rounds, epochs, self.device, [f"training.log_every={size.log_every}"])

    def _minidl(self, config: str, rounds: int, epochs: int, device: str, settings: Sequence[str]) -> Sequence[str]:
        sizes = ["--rounds", str(rounds), "-s", f"training.epochs={epochs}", "--device", device]
        options = [part for setting in settings for part in ("-s", setting)]
        return [*PYTHON, "minidl_cli", "sweep", config, "--quiet", "--runs-dir", str(self.folder), *sizes, *options]

    def _jax(self, size: Size, epochs: int) -> Sequence[str]:
        sizes = ["--rounds", str(size.rounds), "--epochs", str(epochs), "--log-every", str(size.log_every)]
        return [*PYTHON, "benchmarks.peers.jax_device", DISC.name, *sizes, "--device", self.device]


def find_gpu() -> str | None:
    """Return the name of the GPU; None if there is none. Another process looks: this one is to leave it alone."""
    look = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout.strip()
    return found or None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="what minidl and JAX train on")
    parser.add_argument("--tiny", action="store_true", help="small sizes")
    given = parser.parse_args()
    name = "the CPU" if given.device == "cpu" else find_gpu()
    if name is None:
        print(
            "benchmarks.devices: PyTorch finds no GPU here; --device cpu --tiny shows that everything runs",
            file=sys.stderr,
        )
        sys.exit(2)
    print(f"On {name}.\n\n{HEAD}", flush=True)
    with TemporaryDirectory() as folder:
        devices = Devices(given.device, Path(folder), 1 if given.tiny else 3, 20 if given.tiny else 1000)
        for size in TINY if given.tiny else (HUNDRED, THOUSANDS):
            for each in devices.disc(size):
                print(each, flush=True)
        for rounds, epochs, batch_size in [(2, 2, 64)] if given.tiny else [(1, 10, 64), (20, 10, 64), (20, 10, 1000)]:
            for each in devices.wide(rounds, epochs, batch_size):
                print(each, flush=True)


if __name__ == "__main__":
    main()
