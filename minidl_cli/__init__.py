"""Train small neural networks from YAML files: derived gradients, stacked rounds, honest statistics.

from minidl_cli import evaluate, load_config, train

run = train(load_config("configs/disc.yaml", ["training.epochs=100"]))
print(run.path, evaluate(run)["test_accuracy"]["mean"])
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# MKL chooses kernels by the alignment of each matrix unless told not to, so that the bits of a round would
# depend on its place in the stack. It reads this variable once, at its first product.
os.environ.setdefault("MKL_CBWR", "AVX2,STRICT")

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .runs.folder import Run
    from .sweeps.cluster.access import Access
    from .sweeps.cluster.cluster import Cluster
    from .sweeps.contrast import compare
    from .sweeps.resume import resume
    from .sweeps.sweep import sweep, train
    from .training.build import load_config
    from .training.evaluation import evaluate
    from .training.inspection import inspect

__all__ = ["Access", "Cluster", "Run", "compare", "evaluate", "inspect", "load_config", "resume", "sweep", "train"]

_HOMES = {
    "Access": ".sweeps.cluster.access",
    "Cluster": ".sweeps.cluster.cluster",
    "Run": ".runs.folder",
    "compare": ".sweeps.contrast",
    "evaluate": ".training.evaluation",
    "inspect": ".training.inspection",
    "load_config": ".training.build",
    "resume": ".sweeps.resume",
    "sweep": ".sweeps.sweep",
    "train": ".sweeps.sweep",
}


def __getattr__(name: str) -> Any:
    """Import the public names when they are asked for: `minidl --help` should not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)
