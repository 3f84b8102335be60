"""Reading and preparing a large table, beside polars reading the file: `python -m benchmarks.tables [ROWS]`.

Each side is a process of its own, and they take turns. Memory is the largest resident set of a process, less that of
one that only imports the same packages.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

ROWS, COLUMNS, TURNS = 1_000_000, 50, 5

IMPORTS = """
import json, resource, time, torch, polars
from minidl_cli.data.table import Table
from minidl_cli.data.tables import preparing
torch.set_num_threads(1)
started = time.perf_counter()
"""
SIDES = {
    "imports": "",
    "polars": "polars.read_{form}({path!r})",
    "minidl": """
table = Table({path!r}, "y")
table.dtype = torch.float32
table.fit(table.draw(0)["train"])
""",
}
REPORT = """
seconds = time.perf_counter() - started
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""

CONFIG = """
data: {{table: {{file: {path}, target: y}}}}
model: [linear: 32, relu, linear: 1]
loss: bce_with_logits
optimizer: {{adam: 0.001}}
training: {{epochs: 1, batch_size: 256}}
"""


def make_table(rows: int) -> pl.DataFrame:
    """Return columns of several sizes, and a class that depends on two of them."""
    numbers = np.random.default_rng(0)
    scales = 10.0 ** (np.arange(COLUMNS) % 4)
    columns = {f"x{place}": (numbers.normal(0, scale, rows)).round(6) for place, scale in enumerate(scales)}
    columns["y"] = (columns["x0"] + columns["x4"] > 0).astype(np.int64)
    return pl.DataFrame(columns)


def measure(side: str, path: Path) -> tuple[float, float]:
    """Return how long one side takes, in seconds, and its largest resident set in bytes."""
    program = IMPORTS + SIDES[side].format(path=str(path), form=path.suffix[1:]) + REPORT
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    seconds, memory = json.loads(done.stdout)
    return seconds, memory


def compare(path: Path, matrix: int) -> str:
    """Return a row of the table for a file whose matrix has so many bytes."""
    turns = [{side: measure(side, path) for side in SIDES} for _ in range(TURNS)]
    times = {side: median(turn[side][0] for turn in turns) for side in SIDES}
    ratio = median(turn["minidl"][0] / turn["polars"][0] for turn in turns)
    above = {side: max(turn[side][1] - turn["imports"][1] for turn in turns) for side in ("polars", "minidl")}
    memory = [f"{above[side] / 1e6:.0f} MB" for side in ("polars", "minidl")]
    cells = [f"{path.suffix[1:]}, {path.stat().st_size / 1e6:.0f} MB", f"{times['polars']:.2f} s"]
    cells += [f"{times['minidl']:.2f} s", f"**{ratio:.2f}**", *memory, f"**{above['minidl'] / matrix:.2f}**"]
    return f"| {' | '.join(cells)} |"


def train(path: Path, folder: Path) -> str:
    """Return what the whole command takes to train a network for an epoch."""
    config = folder / "big.yaml"
    config.write_text(CONFIG.format(path=path))
    command = ["-m", "minidl_cli", "train", str(config), "--quiet", "--runs-dir", str(folder / "runs")]
    program = (
        "import resource, subprocess, sys, time; started = time.perf_counter(); "
        f"subprocess.run([sys.executable, *{command!r}], check=True, stdout=subprocess.DEVNULL); "
        "usage = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(time.perf_counter() - started, usage.ru_maxrss * 1024)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    seconds, memory = map(float, done.stdout.split())
    return (
        f"`minidl train`, an epoch of it, from the shell and back: {seconds:.1f} s, {memory / 1e6:.0f} MB with imports."
    )


def main(rows: int = ROWS) -> None:
    matrix = rows * COLUMNS * 4
    print(f"{rows:,} rows, {COLUMNS} columns and a class; the float32 matrix has {matrix / 1e6:.0f} MB.\n")
    print("| file | polars reads | minidl reads and prepares | times as long | its memory | minidl's | matrices |")
    print("|---|---|---|---|---|---|---|")
    with TemporaryDirectory() as name:
        folder = Path(name)
        frame = make_table(rows)
        writers: dict[str, Callable[[Path], object]] = {"csv": frame.write_csv, "parquet": frame.write_parquet}
        for form, write in writers.items():
            write(folder / f"big.{form}")
        del frame, writers, write
        for form in ("csv", "parquet"):
            print(compare(folder / f"big.{form}", matrix), flush=True)
        print(f"\n{train(folder / 'big.csv', folder)}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
