"""Hold the estimated memory of a stack beside the most that a process took, and print a table.

python -m benchmarks.estimates

Each stack is trained for two epochs in a process of its own, then put into a checkpoint and judged. What the process
had before, with its imports and one stack of two rounds done, is left out. Linux only.
"""

import ctypes
import gc
import json
import subprocess
import sys
from pathlib import Path

from .measuring import row

WIDE = "model=[linear: 1000, tanh, linear: 1000, relu, linear: 2]"
DEEP = "model=[linear: 100, batch_norm, gelu, dropout: 0.2, linear: 100, layer_norm, silu, dropout: 0.5, linear: 2]"
ADAM, OPERATIONS = "optimizer={adam: 0.001}", "training.compiled=never"
OWN_DATA = ("data_seed=round", "data.disc={train: 20000, test: 20000}")
# The rounds of each stack, and its settings, on configs/disc.yaml.
STACKS: dict[str, tuple[int, tuple[str, ...]]] = {
    "disc, compiled": (3000, ()),
    "disc": (500, (OPERATIONS,)),
    "disc, many": (3000, (OPERATIONS,)),
    "disc, double precision": (1500, (OPERATIONS, "training.dtype=float64")),
    "data of its own, compiled": (100, OWN_DATA),
    "data of its own": (100, (OPERATIONS, *OWN_DATA)),
    "a million parameters, Adam, compiled": (10, (WIDE, ADAM)),
    "a million parameters, Adam, validation": (20, (OPERATIONS, WIDE, ADAM, "training.validation=0.2")),
    "a million parameters, batches of 1,000": (20, (OPERATIONS, WIDE, "training.batch_size=1000")),
    "norms and dropout, compiled": (300, (DEEP, ADAM)),
    "norms and dropout": (300, (OPERATIONS, DEEP, ADAM)),
}


def measure(rounds: int, settings: list[str]) -> None:
    """Print the estimate and what this process took, in bytes."""
    import torch

    from minidl_cli import load_config
    from minidl_cli.training.build import build
    from minidl_cli.training.compiled import CompiledTrainer
    from minidl_cli.training.memory import Footprint
    from minidl_cli.training.trainers import Trainers

    def work(rounds: int) -> int:
        config = load_config("configs/disc.yaml", [*settings, f"sweep.rounds={rounds}", "training.epochs=2"])
        trainer = Trainers(config).of(config.seeds)
        for _ in trainer.epochs():
            pass
        trainer.checkpoint().encode()
        trainer.rounds()
        return Footprint(build(config), is_compiled=isinstance(trainer, CompiledTrainer)).of(rounds).total

    torch.set_num_threads(1)
    work(2)
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
    estimated = work(rounds)
    print(json.dumps([estimated, _memory("VmHWM") - before]))


def _memory(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def main() -> None:
    print(f"{row('stack', 'rounds', 'estimated', 'taken', 'ratio')}\n|---|---|---|---|---|")
    for name, (rounds, settings) in STACKS.items():
        command = [sys.executable, "-m", "benchmarks.estimates", str(rounds), *settings]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        estimated, taken = json.loads(done.stdout)
        megabytes = [f"{size / 1e6:,.0f} MB" for size in (estimated, taken)]
        print(row(name, f"{rounds:,}", *megabytes, f"**{estimated / taken:.2f}**"), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(int(sys.argv[1]), sys.argv[2:])
    else:
        main()
