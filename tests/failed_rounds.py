"""Run folders of which some rounds failed: their worker died again and again."""

import csv
from collections.abc import Sequence

import numpy as np

from minidl_cli.runs.folder import Run
from minidl_cli.training.evaluation import Trained, count_rounds
from tests.weights import replace_weights

REASON = "their worker was killed by SIGKILL, three times"


def fail(run: Run, seeds: Sequence[int], logged: int = 0) -> None:
    """Rewrite a finished run as if rounds of it had failed after so many logged epochs."""
    _rewrite_rounds(run, seeds)
    header, *lines = run.metrics_path.read_text().splitlines()
    kept = [line for line in lines if int(line.split(",")[0]) not in seeds or int(line.split(",")[1]) <= logged]
    run.metrics_path.write_text("\n".join([header, *kept, ""]))
    rounds = run.rounds()
    for name in ("last", "best"):
        if (run.path / "weights" / f"{name}.safetensors").exists():
            weights = {key: values.numpy().copy() for key, values in run.weights(name).items()}
            for values in weights.values():
                values[[seed in seeds for seed, _ in rounds]] = np.nan
            replace_weights(run, weights, name)
    counts = count_rounds(rounds) | {"failures": [{"seeds": list(seeds), "reason": REASON}]}
    trained = Trained.of(run)
    results = {"rounds": counts, "final": trained.final(), "report": trained.reports()}
    run.write_json("summary.json", run.summary() | results)


def _rewrite_rounds(run: Run, seeds: Sequence[int]) -> None:
    with (run.path / "rounds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    failed = dict.fromkeys(rows[0]) | {"status": "failed", "epochs": 0}
    run.write_rounds([row if int(row["seed"]) not in seeds else failed | {"seed": row["seed"]} for row in rows])
