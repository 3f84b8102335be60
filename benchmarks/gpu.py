"""Run all tests that need a GPU, and the benchmarks on it, and keep what they say.

python -m benchmarks.gpu [FILE]
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from .devices import find_gpu

COMMANDS = (
    [sys.executable, "-m", "pytest", "-m", "cuda", "--numprocesses=0"],
    [sys.executable, "-m", "benchmarks.devices"],
)


def main(file: str = "gpu-results.txt") -> int:
    """Return the exit code: 0 if all went well, 1 if something failed, 2 if there is no GPU."""
    name = find_gpu()
    if name is None:
        print("benchmarks.gpu: PyTorch finds no GPU here, so that there is nothing to run", file=sys.stderr)
        return 2
    with Path(file).open("w", encoding="utf-8") as results:
        results.write(f"{name}\n")
        codes = [_show(command, results) for command in COMMANDS]
    print(f"\nall of it is in {file}")
    return int(any(codes))


def _show(command: Sequence[str], results: TextIO) -> int:
    """Run a command, show what it says as it says it, and keep it; return its exit code."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in (f"\n$ {' '.join(command)}\n", *process.stdout):
            print(line, end="", flush=True)
            results.write(line)
            results.flush()
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
