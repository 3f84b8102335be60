"""Writing a round of a run for other programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import save

from ..atomic import write_atomically
from ..errors import InputError, TrainingError
from ..runs.folder import Run
from ..training.evaluation import Weights, chosen_weights, restore
from ..training.prediction import Predictor
from .torch_program import PROGRAM_FILE, SCALING_FILE, WEIGHTS_FILE, program, state_dict
from .trained import TrainedRound

MODEL_FILE = "network.onnx"
INSTALL = "pip install 'minidl-cli[onnx]'"

# By how much predictions in onnxruntime may differ, as `verification.largest_difference` measures it.
TOLERANCE = 1e-5

Format = Literal["torch", "onnx"]


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        run: the run's folder.
        seed: the round.
        weights: which of its weights, `last` or `best`.
        to: the format.
        files: the files.
        largest_difference: by how much predictions in onnxruntime differ from minidl's; None where there was no
            onnxruntime to ask.
    """

    run: Path
    seed: int
    weights: Weights
    to: Format
    files: list[Path]
    largest_difference: float | None

    def document(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {
            "run": str(self.run),
            "seed": self.seed,
            "weights": self.weights,
            "to": self.to,
            "files": list(map(str, self.files)),
            "largest_difference": self.largest_difference,
        }


def export(
    run: Run | str | Path,
    to: Format,
    *,
    seed: int | None = None,
    weights: Weights | None = None,
    folder: Path | None = None,
) -> Exported:
    """Write a round of a run for other programs; files that are there already are overwritten.

    Args:
        run: the run, or its folder.
        to: `torch`, the weights as safetensors and a program that uses them; or `onnx`, one file for any runtime.
        seed: the round; by default the first that finished.
        weights: `last` or `best`; by default those that the training ended with.
        folder: where to write; by default `export` in the run's folder.

    Raises:
        InputError: the folder is not a finished run, or is damaged; there is no such finished round; a layer cannot be
            exported; a package is not installed; or the files cannot be written.
        TrainingError: the ONNX file was written, but predicts something else in onnxruntime.
    """
    run = run if isinstance(run, Run) else Run.find(str(run))
    if seed is None:
        seed = next((each for each, status in run.rounds() if status == "finished"), None)
    predictor = Predictor.of(run, weights, seed)
    network = restore(predictor.network, predictor.weights)
    trained = TrainedRound(predictor.config, predictor.columns, network, predictor.judge)
    contents = _torch_files(trained) if to == "torch" else _onnx_files(trained)
    files = _write(run, folder, contents)
    difference = None if to == "torch" else _verified(files[0], trained, predictor)
    chosen = weights or chosen_weights(predictor.config)
    return Exported(run.path, predictor.seeds[0], chosen, to, files, difference)


def _torch_files(trained: TrainedRound) -> dict[str, bytes]:
    files = {PROGRAM_FILE: program(trained).encode(), WEIGHTS_FILE: save(state_dict(trained))}
    return files | ({SCALING_FILE: save(trained.scaling)} if trained.scaling else {})


def _onnx_files(trained: TrainedRound) -> dict[str, bytes]:
    try:
        from .onnx_model import onnx_model
    except ModuleNotFoundError as error:
        raise InputError(f"exporting to ONNX needs the package {error.name}: {INSTALL}") from error
    return {MODEL_FILE: onnx_model(trained).SerializeToString(deterministic=True)}


def _write(run: Run, folder: Path | None, contents: Mapping[str, bytes]) -> list[Path]:
    inside, folder = folder is None, folder or run.path / "export"
    try:
        if inside:
            run.make_folder(folder.name)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_atomically(folder / name, content)
    except OSError as error:
        problem = f"cannot be written: {error.strerror or error}; choose another folder with -o"
        raise InputError(f"{folder}: {problem}") from error
    return [folder / name for name in contents]


def _verified(file: Path, trained: TrainedRound, predictor: Predictor) -> float | None:
    """Return by how much the predictions of a model differ from minidl's; None without onnxruntime."""
    try:
        from .verification import largest_difference
    except ModuleNotFoundError:
        return None
    difference = largest_difference(file.read_bytes(), trained, lambda features: predictor.predict(features)[0])
    if difference > TOLERANCE:
        problem = f"its predictions in onnxruntime differ from minidl's by {difference:.1g}, more than {TOLERANCE:g}"
        raise TrainingError(f"{file}: was written, but {problem}")
    return difference
