"""Measure minidl beside its peers, and print tables: medians with the smallest and the largest value.

python -m benchmarks                        everything
python -m benchmarks disc-steps start-up    some groups only
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from .limit import Rates, limit_table
from .measuring import HEAD, Comparison, Extrapolated, Program, Rival, Servant, Side, Times, Within, row
from .memory import peak_memory
from .works import DIGITS, DISC, WIDE, Work

EAGER, FUNC, JAX, SCIKIT = "eager torch.nn", "torch.func", "JAX", "scikit-learn"
MODULES = {EAGER: "eager_torch", FUNC: "torch_func", JAX: "jax_scan", SCIKIT: "scikit_learn"}
ONE_BY_ONE = "1 round after the other"

PYTHON = [sys.executable, "-m"]
MINIDL = str(Path(sys.executable).with_name("minidl"))
MAX_GB = 1.5


class Bench:
    """The groups of comparisons.

    Args:
        folder: where all sides may write.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    @cached_property
    def rates(self) -> Rates:
        """The rates of large products; printed when they are first measured."""
        found = Rates.measure()
        print(f"\n{found}")
        return found

    # Steps

    def disc_steps(self) -> None:
        self._steps(DISC, [1, 10, 100, 1000], {(1, EAGER): Times(6)})

    def digits_steps(self) -> None:
        goals = {(1, EAGER): Times(3), (1, SCIKIT): Times(2.5), (100, "minidl"): Times(3)}
        self._steps(DIGITS, [1, 10, 100, 1000], goals)

    def wide_steps(self) -> None:
        """Measure up to 100 rounds; 1,000 would take minutes."""
        self._steps(WIDE, [1, 10, 100], {(1, EAGER): Times(1.2)})
        print("\n(1,000 rounds are not measured: minidl and JAX train them in stacks of the same size as here.)")

    def _steps(self, work: Work, all_rounds: Sequence[int], goals: dict[tuple[int, str], Times]) -> None:
        results = []
        for rounds in all_rounds:
            rivals = [Rival(side, goals.get((rounds, name))) for name, side in _step_sides(work, rounds).items()]
            ours = Servant("minidl", ["benchmarks.minidl_steps", work.name, str(rounds)])
            repetitions = {1: 7, 10: 5, 100: 5, 1000: 3}[rounds]
            for result in Comparison(f"{work.name}, a step of a round", rounds, ours, rivals, repetitions).run():
                results.append(result)
                print(result.row, flush=True)
        print(f"\n{limit_table(results, work, self.rates)}")

    # Whole commands

    def disc_train(self) -> None:
        """Measure 1,000 epochs of one round."""
        rivals = [
            Rival(self._extrapolated(EAGER, DISC, epochs=(20, 220))),
            Rival(self._extrapolated(SCIKIT, DISC, epochs=(20, 220))),
            Rival(self._program(JAX, DISC)),
        ]
        self._compare("disc, minidl train", 1, self._minidl(DISC, "train"), rivals)

    def disc_sweep(self) -> None:
        """Measure 100 rounds of 1,000 epochs."""
        rivals = [
            Rival(self._extrapolated(JAX, DISC, epochs=(20, 220), rounds=100), Times(2.2)),
            Rival(self._extrapolated(EAGER, DISC, epochs=(20, 220), rounds=3, wanted_rounds=100), Times(65)),
        ]
        self._compare("disc, minidl sweep", 100, self._minidl(DISC, "sweep"), rivals)

    def disc_thousand(self) -> None:
        """Measure a round's share of the time of 1,000 rounds, beside its share of that of 100."""
        command = partial(self._minidl_command, DISC, "sweep", 1000)
        ours = Extrapolated("minidl", command, epochs=(20, 120), wanted=DISC.epochs, parts=1000)
        hundred = Program("minidl, 100 rounds", self._minidl_command(DISC, "sweep"), parts=100)
        goal = Times(1 / 1.1)
        work = "disc, minidl sweep, a round's share (from 20 and 120 epochs)"
        self._compare(work, 1000, ours, [Rival(hundred, goal)])

    def digits_train(self) -> None:
        rivals = [Rival(self._program(name, DIGITS)) for name in (EAGER, SCIKIT, JAX)]
        self._compare("digits, minidl train", 1, self._minidl(DIGITS, "train"), rivals)

    def digits_sweep(self) -> None:
        self._compare("digits, minidl sweep", 100, self._minidl(DIGITS, "sweep"), self._sweep_rivals(DIGITS, 100))

    def wide_sweep(self) -> None:
        self._compare("wide, minidl sweep", 10, self._minidl(WIDE, "sweep"), self._sweep_rivals(WIDE, 10))

    def _sweep_rivals(self, work: Work, rounds: int) -> list[Rival]:
        return [
            Rival(self._program(JAX, work, rounds)),
            Rival(self._extrapolated(FUNC, work, epochs=(1, 6), rounds=rounds)),
            Rival(self._extrapolated(EAGER, work, epochs=(1, work.epochs), rounds=3, wanted_rounds=rounds)),
        ]

    def _compare(self, work: str, rounds: int, ours: Side, rivals: Sequence[Rival], repetitions: int = 3) -> None:
        for result in Comparison(work, rounds, ours, rivals, repetitions).run():
            print(result.row, flush=True)

    def _minidl(self, work: Work, verb: str) -> Side:
        return Program("minidl", self._minidl_command(work, verb))

    def _minidl_command(self, work: Work, verb: str, rounds: int | None = None, epochs: int | None = None) -> list[str]:
        minidl = [MINIDL] if work is DISC else [*PYTHON, "benchmarks.minidl"]
        settings = [] if epochs is None else ["-s", f"training.epochs={epochs}"]
        settings += [] if rounds is None else ["--rounds", str(rounds)]
        return [*minidl, verb, work.config, "--runs-dir", str(self.folder), *settings]

    def _peer_command(self, name: str, work: Work, rounds: int, epochs: int) -> list[str]:
        sizes = ["--rounds", str(rounds), "--epochs", str(epochs)]
        table = str(self.folder / "metrics.csv")
        return [*PYTHON, f"benchmarks.peers.{MODULES[name]}", "train", work.name, *sizes, "--table", table]

    def _program(self, name: str, work: Work, rounds: int = 1) -> Side:
        return Program(name, self._peer_command(name, work, rounds, work.epochs))

    def _extrapolated(
        self, name: str, work: Work, *, epochs: tuple[int, int], rounds: int = 1, wanted_rounds: int | None = None
    ) -> Side:
        """Return a peer's program on fewer epochs, or fewer rounds, than are wanted."""
        wanted = work.epochs * (wanted_rounds or rounds) / rounds
        few, many = epochs
        fewer = f"{rounds} rounds of " if wanted_rounds else ""
        return Extrapolated(
            f"{name} (from {fewer}{few} and {many} epochs)",
            partial(self._peer_command, name, work, rounds),
            epochs,
            wanted,
        )

    # What else it takes

    def start_up(self) -> None:
        """Measure zero epochs beside importing PyTorch: as always, and the first time, when the step is compiled."""
        command = self._minidl_command(DISC, "train", epochs=0)
        importing = Program("import torch", [sys.executable, "-c", "import torch"])
        always, first = (Program("minidl", command, caches=caches) for caches in (True, False))
        self._compare("disc, minidl train of no epoch", 1, always, [Rival(importing, Within(1.0))], repetitions=7)
        self._compare("the same, the first time", 1, first, [Rival(importing)])

    def memory(self) -> None:
        """Measure the peak memory of 1,000 rounds."""
        epochs = 20
        used = peak_memory(self._minidl_command(DISC, "sweep", 1000, epochs)) / 1e9
        goal = f"< {MAX_GB} GB: {'met' if used < MAX_GB else 'missed'}"
        print(row(f"disc, peak memory of {epochs} epochs", "1,000", f"**{used:.2f} GB**", "", "", "", goal))


def _step_sides(work: Work, rounds: int) -> dict[str, Side]:
    """Return the rivals in training steps of so many rounds, by name."""

    def peer(name: str, note: str = "", stacked: int = 1) -> Side:
        module = f"benchmarks.peers.{MODULES[name]}"
        return Servant(f"{name}{note}", [module, "steps", work.name, "--rounds", str(stacked)])

    stacked = {name: peer(name, stacked=rounds) for name in (FUNC, JAX)}
    if rounds == 1:
        return {name: peer(name) for name in (EAGER, SCIKIT)} | stacked
    if rounds != 100:
        return stacked
    alone = Servant(f"minidl, {ONE_BY_ONE}", ["benchmarks.minidl_steps", work.name, "1"])
    return stacked | {EAGER: peer(EAGER, f", {ONE_BY_ONE}"), "minidl": alone}


GROUPS: dict[str, Callable[[Bench], None]] = {
    "disc-steps": Bench.disc_steps,
    "digits-steps": Bench.digits_steps,
    "wide-steps": Bench.wide_steps,
    "disc-train": Bench.disc_train,
    "disc-sweep": Bench.disc_sweep,
    "disc-thousand": Bench.disc_thousand,
    "digits-train": Bench.digits_train,
    "digits-sweep": Bench.digits_sweep,
    "wide-sweep": Bench.wide_sweep,
    "start-up": Bench.start_up,
    "memory": Bench.memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}")
    chosen = parser.parse_args().groups or list(GROUPS)
    if unknown := set(chosen) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    # This process imports neither minidl nor torch: minidl's settings of MKL would be handed down to every side.
    subprocess.run([*PYTHON, "benchmarks.agreement"], check=True)
    started = perf_counter()
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for name in chosen:
            before = perf_counter()
            print(f"\n## {name}\n\n{HEAD}", flush=True)
            GROUPS[name](bench)
            print(f"\n({perf_counter() - before:.0f} s)", flush=True)
    print(f"\nall of it took {(perf_counter() - started) / 60:.1f} min")


if __name__ == "__main__":
    main()
