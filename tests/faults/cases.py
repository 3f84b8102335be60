"""Configs that train for about a second each, and together have every kind of state that there is to lose."""

from pathlib import Path

CONFIGS = Path(__file__).parent.parent.parent / "configs"

SMALL = """
data:
  disc: {train: 47, test: 31}
model: [linear: 7, tanh, linear: 5, relu, linear: 2]
loss: mse
optimizer:
  sgd: {lr: 0.1, momentum: 0.5}
training: {epochs: 4000, batch_size: 10, checkpoint_every: 0.01}
sweep: {rounds: 3}
"""


class Case:
    """What is trained.

    Args:
        settings: what is put in place of values of the config.
        config: the config's file; None for the small one.
    """

    def __init__(self, *settings: str, config: Path | None = None):
        self.settings, self._config = settings, config

    def but(self, *settings: str) -> "Case":
        """Return the same with more settings."""
        return Case(*self.settings, *settings, config=self._config)

    def arguments(self, folder: Path) -> list[str]:
        """Return the arguments of `minidl sweep` that train it, the small config being in a folder."""
        small = folder / "small.yaml"
        if not small.exists():
            small.write_text(SMALL)
        return [str(self._config or small), *(word for setting in self.settings for word in ("-s", setting))]


# Few epochs: most of such a training is its beginning and its end.
BRIEF = Case("training.epochs=300", "training.validation=0.3", "training.early_stopping={patience: 50}")
# It trains for minutes, unless it is stopped.
ENDLESS = Case("training.epochs=1000000", "training.log_every=10")

_VALIDATED = ("training.validation=0.3", "training.early_stopping={patience: 400}")
_IN_PYTORCHS_OPERATIONS = ("training.compiled=never", "training.epochs=1500")

CASES = {
    "one round": Case("sweep.rounds=1", "training.epochs=5000"),
    "sgd, cosine": Case("optimizer.sgd.nesterov=true", "optimizer.sgd.weight_decay=1e-4", "training.schedule=cosine"),
    "adam, step, float64": Case(
        "optimizer={adam: {amsgrad: true}}", "training.schedule={step: {step_size: 700}}", "training.dtype=float64"
    ),
    "adamw, exponential, accumulate, clip_norm": Case(
        "optimizer={adamw: 0.01}",
        "training.schedule={exponential: 0.999}",
        "training.accumulate=2",
        "training.clip_norm=0.3",
    ),
    "rmsprop, piecewise": Case(
        "optimizer={rmsprop: {lr: 0.001, momentum: 0.5, centered: true}}",
        "training.schedule={piecewise: {0: 0.003, 900: 0.001, 2000: 0.0003}}",
        "training.compiled=always",
    ),
    "dropout": Case("model.1={dropout: 0.3}", "training.log_every=7"),
    "dropout, in PyTorch's operations": Case("model.1={dropout: 0.3}", *_IN_PYTORCHS_OPERATIONS),
    "batch_norm, early stopping": Case("model.1=batch_norm", *_VALIDATED),
    "batch_norm, early stopping, in PyTorch's operations": Case(
        "model.1=batch_norm", "optimizer={adam: 0.003}", *_VALIDATED, *_IN_PYTORCHS_OPERATIONS, "sweep.rounds=5"
    ),
    "layer_norm, validation, drop_last": Case(
        "model.1=layer_norm", "training.validation=0.3", "training.drop_last=true", "training.shuffle=false"
    ),
    "a round that diverges late": Case(
        "model=[linear: 7, linear: 5, linear: 2]",
        "training.schedule={piecewise: {0: 0.1, 500: 0.6, 1500: 0.8}}",
        "training.epochs=3000",
    ),
    "data of each round": Case("data_seed=round", "training.batch_size=47", "training.log_every=3"),
    "PyTorch": Case("framework=torch", "optimizer={adam: 0.01}", "training.epochs=150", "model.1={dropout: 0.2}"),
    "classes of a table": Case(
        "data.table.class_weights=balanced",
        "sweep.rounds=4",
        "training.epochs=2500",
        "training.validation=0.2",
        "training.checkpoint_every=0.01",
        config=CONFIGS / "iris.yaml",
    ),
    "numbers of a table": Case(
        "sweep.rounds=3",
        "training.epochs=700",
        "training.checkpoint_every=0.01",
        config=CONFIGS / "diabetes.yaml",
    ),
    "variants": Case("sweep.vary={optimizer: [{sgd: 0.1}, {adam: 0.01}]}", "training.epochs=2000"),
}
