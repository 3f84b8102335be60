"""Run every comparison, and print a table: medians with the smallest and the largest, and the ratios of pairs."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from .measuring import HEAD, Comparison, Program, Servant

REPETITIONS = 7


def comparisons(runs_dir: str) -> list[Comparison]:
    minidl = str(Path(sys.executable).with_name("minidl"))
    command = [minidl, "train", "configs/disc.yaml", "-s", "training.epochs=100", "--runs-dir", runs_dir]
    one_round = Servant("1 round", ["benchmarks.disc", "one_round"])
    return [
        Comparison(
            "disc, a training step",
            Servant("minidl", ["benchmarks.disc", "steps"]),
            Servant("eager torch", ["benchmarks.eager_torch", "steps"]),
            goal=0.5,
        ),
        Comparison(
            "disc, 20 epochs, one process",
            Servant("100 rounds", ["benchmarks.disc", "hundred_rounds"]),
            one_round,
            goal=20,
        ),
        Comparison(
            "disc, 20 epochs, a worker for each core",
            Servant("100 rounds", ["benchmarks.disc", "in_workers"]),
            one_round,
            goal=20,
        ),
        Comparison(
            "disc, 100 epochs, the whole command",
            Program("minidl train", command),
            Program("eager torch", [sys.executable, "-m", "benchmarks.eager_torch"]),
            goal=None,
        ),
    ]


def main() -> None:
    # This process imports neither minidl nor torch: minidl's settings of MKL would be handed down to every side.
    subprocess.run([sys.executable, "-m", "benchmarks.agreement"], check=True)
    print(f"\n{HEAD}", flush=True)
    with TemporaryDirectory() as runs_dir:
        for comparison in comparisons(runs_dir):
            print(comparison.run(REPETITIONS), flush=True)


if __name__ == "__main__":
    main()
