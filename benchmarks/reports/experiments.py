"""Which experiments there are, and their run folders: trained anew, or taken as they are."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from minidl_cli.config.schema import Config
from minidl_cli.display.progress import show_progress
from minidl_cli.runs.folder import Run
from minidl_cli.sweeps.sweep import start
from minidl_cli.training.build import load_config

CONFIGS = Path("configs/reports")

# Enough for every line of the page to have its numbers, and for none of them to mean anything; too short to compile.
QUICK = ("training.epochs=12", "data.disc.train=100", "data.disc.test=100", "sweep.rounds=3", "training.compiled=never")


@dataclass(frozen=True)
class Experiment:
    """A sweep of one of the shipped configs.

    Attributes:
        name: the config's name, or another one where the config is used a second time.
        config: the file's name, without its ending.
        settings: what `-s` changes.
        vary: what `--vary` changes.
        rounds: what `--rounds` says, if it is given.
    """

    name: str
    config: str
    settings: Sequence[str] = ()
    vary: Sequence[str] = ()
    rounds: int | None = None

    @property
    def report(self) -> str:
        """The letter of the report."""
        return self.name[0].upper()

    @property
    def words(self) -> list[str]:
        """What a reader types after `minidl`."""
        words = ["sweep", f"{CONFIGS / self.config}.yaml"]
        words += [word for setting in self.settings for word in ("-s", setting)]
        words += [word for setting in self.vary for word in ("--vary", setting)]
        words += [] if self.rounds is None else ["--rounds", str(self.rounds)]
        return words if self.name == self.config else [*words, "--name", self.name]

    @property
    def command(self) -> str:
        """The whole command line."""
        return f"minidl {shlex.join(self.words)}"

    def load(self, further: Sequence[str] = ()) -> Config:
        """Return what the command trains, with further settings."""
        rounds = [] if self.rounds is None else [f"sweep.rounds={self.rounds}"]
        settings = [*self.settings, *rounds, f"name={json.dumps(self.name)}", *further]
        return load_config(f"{CONFIGS / self.config}.yaml", settings, self.vary)


EXPERIMENTS = [
    Experiment("a_100_epochs", "a_100_epochs"),
    Experiment("a_1000_epochs", "a_1000_epochs"),
    # Fewer rounds: PyTorch trains them one by one.
    Experiment("a_1000_epochs_torch", "a_1000_epochs", ["framework=torch"], rounds=20),
    Experiment("b_descent", "b_descent"),
    Experiment("c_models", "c_models"),
    Experiment("c_sigmoids", "c_sigmoids"),
    Experiment("d_initial_values", "d_initial_values"),
    Experiment(
        "d_labels",
        "d_initial_values",
        vary=["init=xavier_normal", "training.shuffle=true", "data.disc.inside_label=0,1"],
    ),
    Experiment("e_activations", "e_activations"),
    Experiment("e_optimizers", "e_optimizers"),
    Experiment("e_losses", "e_losses"),
    Experiment("e_torch", "e_torch"),
]

REPORTS = sorted({experiment.report for experiment in EXPERIMENTS})


class Archive:
    """The run folders of the experiments, and how long each took as a whole, its figures included.

    Args:
        runs_dir: where they are; `made.json` there says which run is whose.
        settings: what is changed in every config.
        workers: the number of processes; by default the number of cores.
    """

    def __init__(self, runs_dir: Path, settings: Sequence[str] = (), workers: int | None = None):
        self.runs_dir, self.settings, self.workers = runs_dir, settings, workers
        self._index = runs_dir / "made.json"
        self._made = json.loads(self._index.read_text()) if self._index.is_file() else {}

    def run(self, experiment: Experiment) -> Run:
        """Return the run that was made last."""
        return Run(self.runs_dir / self._made[experiment.name]["run"])

    def seconds(self, experiment: Experiment) -> float:
        """Return how long that took."""
        return float(self._made[experiment.name]["seconds"])

    def has(self, experiment: Experiment) -> bool:
        """Tell whether there is a finished run of just this config."""
        if experiment.name not in self._made:
            return False
        run = self.run(experiment)
        return run.is_finished and load_config(run.config_path) == experiment.load(self.settings)

    def train(self, experiment: Experiment) -> None:
        """Train it, with progress on standard error."""
        started = perf_counter()
        job = start(experiment.load(self.settings), self.runs_dir, self.workers)
        with show_progress(job.epochs, silent=False) as progress:
            for record in job.records():
                loss = {"train_loss": float(record.metrics["train_loss"].mean())}
                progress.advance(job.doing, len(record.seeds), record.epoch, loss)
        self._made[experiment.name] = {"run": job.run.id, "seconds": perf_counter() - started}
        self._index.write_text(json.dumps(self._made, indent=2) + "\n")
