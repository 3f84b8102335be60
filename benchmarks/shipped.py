"""The shipped tables, learned by minidl and by scikit-learn from the same splits: `python -m benchmarks.shipped`.

minidl trains each config as it is. scikit-learn has the same architecture, trained on the same rows as each of the
config's rounds and tested on the same others, in double precision, one network after the other:

- with its default settings, on inputs standardized as minidl's are: this is what the config is held against;
- with its default settings, on the inputs as the file has them;
- trained until it converges, at the latest after 10,000 epochs instead of 200, where the target is a number on targets
  standardized too.

Rounds are compared in pairs, and a difference is minidl's figure less scikit-learn's. minidl's time is that of the
whole command with an empty cache, scikit-learn's that of training and predicting alone, on one thread.
"""

import argparse
import math
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from minidl_cli.comparison import paired
from minidl_cli.config.schema import Config
from minidl_cli.data.dataset import Part
from minidl_cli.runs.folder import Run
from minidl_cli.statistics import summarize
from minidl_cli.training.build import load_config, make_dataset

from .measuring import row, run_silently, seconds, show_time

NAMES = ("iris", "breast_cancer", "digits", "diabetes")
FOLDER = Path(__file__).parents[1] / "configs"
MINIDL = str(Path(sys.executable).with_name("minidl"))

# What scikit-learn calls the layers that are not linear.
ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "sigmoid": "logistic", "identity": "identity"}

HEAD = """| data | metric | minidl | its time | scikit-learn | its figures | its time | difference | goal |
|---|---|---|---|---|---|---|---|---|"""

Array = NDArray[Any]


@dataclass(frozen=True)
class Metric:
    name: str
    higher_is_better: bool = True
    decimals: int = 4


ACCURACY, R2, RMSE = Metric("accuracy"), Metric("R²"), Metric("RMSE", higher_is_better=False, decimals=2)


@dataclass(frozen=True)
class Samples:
    """Inputs `[samples, features]` as the file has them; targets, or the numbers of classes, `[samples]`."""

    inputs: Array
    targets: Array

    @classmethod
    def of(cls, part: Part) -> "Samples":
        rows = part.rows_of_all()
        return cls(part.inputs[:, rows].T.numpy(), part.targets[..., rows].flatten().numpy())


@dataclass(frozen=True)
class Round:
    """A round of a config: its seed, and what is trained and tested on."""

    seed: int
    train: Samples
    test: Samples


@dataclass(frozen=True)
class Work:
    """What both sides do: a config, the network that it describes, and its rounds."""

    config: Config
    path: Path
    learns_classes: bool
    rounds: list[Round]

    @classmethod
    def of(cls, path: Path) -> "Work":
        config = load_config(path, ["training.dtype=float64"])
        dataset = make_dataset(config)
        drawn = [(seed, dataset.draw(seed)) for seed in config.seeds]
        rounds = [Round(seed, Samples.of(parts["train"]), Samples.of(parts["test"])) for seed, parts in drawn]
        return cls(config, path, dataset.columns.classes is not None, rounds)

    @property
    def metrics(self) -> list[Metric]:
        return [ACCURACY] if self.learns_classes else [R2, RMSE]

    @property
    def hidden_widths(self) -> tuple[int, ...]:
        return tuple(layer.arguments["out_features"] for layer in self.config.model[:-1] if layer.name == "linear")

    @property
    def activation(self) -> str:
        """The activation of all hidden layers: scikit-learn has one for all."""
        (name,) = {layer.name for layer in self.config.model if layer.name != "linear"}
        return ACTIVATIONS[name]


@dataclass(frozen=True)
class Figures:
    """What a side reached: each metric of every round, and the seconds that all of them took."""

    values: dict[Metric, list[float]]
    time: float


def learn_with_minidl(work: Work) -> Figures:
    with TemporaryDirectory() as folder:
        time = seconds(lambda: run_silently([MINIDL, "sweep", str(work.path), "--runs-dir", folder]))
        (run,) = Run.all(Path(folder))
        reached = [each.metrics for each in run.round_rows()]
    if work.learns_classes:
        return Figures({ACCURACY: [each["test_accuracy"] for each in reached]}, time)
    errors = [each["test_mse"] for each in reached]
    return Figures(_regression(work, errors), time)


def _regression(work: Work, errors: Sequence[float]) -> dict[Metric, list[float]]:
    """Return the metrics that follow from the mean squared error of each round on its test samples."""
    shares = [error / each.test.targets.var() for each, error in zip(work.rounds, errors, strict=True)]
    return {R2: [float(1 - share) for share in shares], RMSE: [math.sqrt(error) for error in errors]}


@dataclass(frozen=True)
class Peer:
    """A way to use scikit-learn.

    Attributes:
        name: what the table calls it.
        standardizes: whether inputs are standardized, by the mean and deviation of the training samples.
        scales_target: whether targets that are numbers are, too.
        settings: those of MLPClassifier and MLPRegressor that are not the default ones.
    """

    name: str
    standardizes: bool = True
    scales_target: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    def learn(self, work: Work) -> Figures:
        models = [self._model(work, each.seed) for each in work.rounds]
        predictions: list[Array] = []

        def train() -> None:
            for model, each in zip(models, work.rounds, strict=True):
                model.fit(each.train.inputs, each.train.targets)
                predictions.append(model.predict(each.test.inputs))

        with threadpool_limits(1), warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            time = seconds(train)
        pairs = [(prediction, each.test.targets) for prediction, each in zip(predictions, work.rounds, strict=True)]
        if work.learns_classes:
            return Figures({ACCURACY: [float(np.mean(found == true)) for found, true in pairs]}, time)
        return Figures(_regression(work, [float(np.square(found - true).mean()) for found, true in pairs]), time)

    def _model(self, work: Work, seed: int) -> Any:
        kind = MLPClassifier if work.learns_classes else MLPRegressor
        network = kind(
            hidden_layer_sizes=work.hidden_widths, activation=work.activation, random_state=seed, **self.settings
        )
        model = make_pipeline(StandardScaler(), network) if self.standardizes else network
        if self.scales_target and not work.learns_classes:
            return TransformedTargetRegressor(model, transformer=StandardScaler())
        return model


DEFAULTS = Peer("its defaults")
PEERS = [
    DEFAULTS,
    Peer("its defaults, raw inputs", standardizes=False),
    Peer("until it converges", scales_target=True, settings={"max_iter": 10_000}),
]


@dataclass(frozen=True)
class Result:
    """minidl beside scikit-learn, by one metric."""

    work: Work
    metric: Metric
    peer: Peer
    ours: Figures
    theirs: Figures

    @property
    def row(self) -> str:
        ours, theirs = (each.values[self.metric] for each in (self.ours, self.theirs))
        cells = [self._spread(ours), show_time(self.ours.time), self.peer.name, self._spread(theirs)]
        goal = self._verdict(ours, theirs) if self.peer is DEFAULTS else ""
        cells += [show_time(self.theirs.time), self._difference(ours, theirs), goal]
        return row(self.work.config.name, self.metric.name, *cells)

    def _spread(self, values: Sequence[float]) -> str:
        found: Any = summarize(values, higher_is_better=self.metric.higher_is_better)
        mean, std, low, high = (self._shown(each) for each in (found["mean"], found["std"], *found["ci95"]))
        return f"**{mean}** ± {std} ({low} to {high})"

    def _difference(self, ours: Sequence[float], theirs: Sequence[float]) -> str:
        found = paired(theirs, ours)
        assert found.difference is not None
        interval = f" ({' to '.join(map(self._shown, found.ci95))})" if found.ci95 else ""
        return f"**{self._shown(found.difference)}**{interval}"

    def _verdict(self, ours: Sequence[float], theirs: Sequence[float]) -> str:
        more = float(np.mean(ours) - np.mean(theirs))
        is_met = (more if self.metric.higher_is_better else -more) >= 0
        return f"at least as good: {'met' if is_met else 'missed'}"

    def _shown(self, value: float) -> str:
        return f"{value:.{self.metric.decimals}f}".replace("-", "−")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="*", type=Path, help=f"config files; by default {', '.join(NAMES)}")
    print(HEAD, flush=True)
    for path in parser.parse_args().configs or [FOLDER / f"{name}.yaml" for name in NAMES]:
        work = Work.of(path)
        ours = learn_with_minidl(work)
        for peer in PEERS:
            theirs = peer.learn(work)
            for metric in work.metrics:
                print(Result(work, metric, peer, ours, theirs).row, flush=True)


if __name__ == "__main__":
    main()
