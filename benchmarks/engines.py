"""Measure sweeps on Dask's workers beside the built-in ones, and the memory of scheduler and client.

python -m benchmarks.engines            everything, which takes about ten minutes
python -m benchmarks.engines speed      100 rounds of the disc on two workers of each kind
python -m benchmarks.engines memory     10,000 rounds of 10 epochs, by a scheduler and workers of their own

Start-up is set aside by training for two numbers of epochs: what the rest of them takes is told from the difference.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from .measuring import HEAD, Comparison, Program, Rival, Slope, Times, row

PYTHON = [sys.executable, "-m"]
CONFIG, WORKERS = "configs/disc.yaml", 2
START_SECONDS = 60
MAX_GB = 1.0


def command(folder: Path, engine: Sequence[str], epochs: int, rounds: int = 100) -> list[str]:
    sizes = ["--rounds", str(rounds), "-s", f"training.epochs={epochs}"]
    return [*PYTHON, "minidl_cli", "sweep", CONFIG, "--quiet", "--runs-dir", str(folder), *sizes, *engine]


def speed(folder: Path, epochs: tuple[int, int], turns: int, rounds: int = 100) -> Iterator[str]:
    """Yield a row for the whole command, and one with start-up aside, where Dask is to have 0.9 of the speed."""
    engines = {name: ["--engine", name, "--workers", str(WORKERS)] for name in ("dask", "local")}
    commands = {name: partial(command, folder, engine, rounds=rounds) for name, engine in engines.items()}
    dask, local = (Program(name, commands[name](epochs[0]), caches=True) for name in engines)
    whole = Comparison(f"disc, {epochs[0]:,} epochs, the whole command", rounds, dask, [Rival(local)], turns)
    dask, local = (Slope(name, commands[name], epochs, epochs[0]) for name in engines)
    net = Comparison(f"disc, {epochs[0]:,} epochs, start-up aside", rounds, dask, [Rival(local, Times(0.9))], turns)
    for comparison in (whole, net):
        for result in comparison.run():
            yield result.row


def memory(folder: Path, epochs: int, rounds: int) -> Iterator[str]:
    """Yield a row for the peak memory of the scheduler, and one for that of minidl, with workers of their own."""
    with _cluster(folder) as (scheduler, address):
        sweep = command(folder, ["--engine", "dask", "--address", address], epochs, rounds)
        with subprocess.Popen(sweep, stdout=subprocess.DEVNULL) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, sweep)
        peaks = {"scheduler": _peak(scheduler.pid), "client": used.ru_maxrss * 1024}
    for name, peak in peaks.items():
        goal = f"< {MAX_GB:g} GB: {'met' if peak < MAX_GB * 1e9 else 'missed'}"
        work = f"disc, {epochs} epochs, peak memory of the {name}"
        yield row(work, f"{rounds:,}", f"**{peak / 1e9:.2f} GB**", "", "", "", goal)


@contextmanager
def _cluster(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start a scheduler, and workers that can only be reached from this machine; end them with the context."""
    options = ["--scheduler-file", str(folder / "scheduler.json"), "--host", "tcp://127.0.0.1", "--no-dashboard"]
    dask = [*PYTHON, "dask"]
    with _process([*dask, "scheduler", "--port", "0", *options]) as scheduler:
        address = _wait(partial(_address, folder / "scheduler.json"))
        worker = [*dask, "worker", address, "--nthreads", "1", "--nworkers", str(WORKERS), "--no-dashboard"]
        with _process([*worker, "--local-directory", str(folder), "--host", "127.0.0.1"]):
            yield scheduler, address


@contextmanager
def _process(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def _address(file: Path) -> str | None:
    """Return the address that a scheduler has written into its file; None if it has not."""
    try:
        return json.loads(file.read_text())["address"]
    except (OSError, ValueError):
        return None


def _wait(look: Callable[[], str | None]) -> str:
    deadline = monotonic() + START_SECONDS
    while (found := look()) is None:
        if monotonic() > deadline:
            raise TimeoutError("the scheduler does not start")
        sleep(0.1)
    return found


def _peak(process: int) -> int:
    """Return the largest resident memory that a process had so far, in bytes."""
    (line,) = (line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="of speed, memory", default=["speed", "memory"])
    parser.add_argument("--tiny", action="store_true", help="small sizes, to see that it runs")
    given = parser.parse_args()
    if unknown := set(given.groups) - {"speed", "memory"}:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    print(HEAD, flush=True)
    with TemporaryDirectory() as name:
        folder = Path(name)
        if "speed" in given.groups:
            for each in speed(folder, (2, 4), 1, 4) if given.tiny else speed(folder, (1000, 3000), 5):
                print(each, flush=True)
        if "memory" in given.groups:
            for each in memory(folder, 1, 10) if given.tiny else memory(folder, 10, 10_000):
                print(each, flush=True)


if __name__ == "__main__":
    main()
