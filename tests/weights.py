"""Weights that a test puts in the place of a run's own, so that more than the file's SHA-256 is looked at."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from minidl_cli.runs.folder import Run


def replace_weights(run: Run, weights: Mapping[str, NDArray[Any]], name: str = "last") -> None:
    """Write weights, and say in the summary that they are the run's."""
    written = run.write_weights(name, weights)
    _accept(run, name, written)


def replace_file(run: Run, content: bytes, name: str = "last") -> Path:
    """Write the file of the weights, whatever it holds, and say in the summary that it is the run's."""
    path = run.path / f"weights/{name}.safetensors"
    path.write_bytes(content)
    _accept(run, name, {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    return path


def _accept(run: Run, name: str, written: Mapping[str, Any]) -> None:
    summary = run.summary()
    run.write_json("summary.json", summary | {"weights": summary.get("weights", {}) | {name: written}})
