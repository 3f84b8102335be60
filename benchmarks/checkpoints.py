"""Measure what checkpoints take of a training, as the trainer itself sees it, and print a table.

python -m benchmarks.checkpoints
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from unittest.mock import patch

from minidl_cli import load_config
from minidl_cli.sweeps.sweep import start
from minidl_cli.sweeps.timetable import Timetable

ADAM = "optimizer={adam: 0.001}"
# Rounds, epochs and settings of each work, all on the data of the disc; and how many seconds are between checkpoints.
WORKS = {
    "disc": (100, 1000, ()),
    "a million parameters, Adam": (10, 100, ("model=[linear: 1000, tanh, linear: 1000, relu, linear: 2]", ADAM)),
}
EVERY = (30, 1, 0.01)


def main() -> None:
    print("| work | rounds | a checkpoint | every | checkpoints | one takes | share of the run |")
    print("|---|---|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        for name, (rounds, epochs, settings) in WORKS.items():
            for every in EVERY:
                print(_row(Path(folder), name, rounds, epochs, [*settings, f"training.checkpoint_every={every}"]))


def _row(folder: Path, name: str, rounds: int, epochs: int, settings: Sequence[str]) -> str:
    sizes = [f"training.epochs={epochs}", f"sweep.rounds={rounds}"]
    job = start(load_config("configs/disc.yaml", [*sizes, *settings]), folder, workers=1)
    taken: list[float] = []

    def took(timetable: Timetable, seconds: float) -> None:
        taken.append(seconds)
        original(timetable, seconds)

    original: Any = Timetable.took
    started = perf_counter()
    with patch.object(Timetable, "took", took):
        for _ in job.records():
            pass
    size = sum(path.stat().st_size for path in (job.run.path / "checkpoint").iterdir())
    one = f"{1000 * sum(taken) / len(taken):.1f} ms" if taken else ""
    whole = perf_counter() - started
    share = sum(taken) / whole
    every = settings[-1].partition("=")[2]
    cells = [name, rounds, f"{size / 1e6:.1f} MB", f"{every} s", len(taken), one, f"{share:.2%} of {whole:.0f} s"]
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    main()
