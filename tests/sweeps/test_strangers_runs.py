"""What a stranger's folder may hold: a list of runs stays a list, and comparing says what is wrong."""

import json

import pytest

from minidl_cli import compare, sweep
from minidl_cli.errors import InputError
from minidl_cli.runs.listing import list_runs

HUGE = 10**400


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("text", ["NaN", "Infinity", str(HUGE)], ids=["nan", "infinity", "huge"])
def test_numbers_that_are_none(small_config, tmp_path, text):
    runs = [sweep(small_config("training.epochs=1", f"seed={seed}"), runs_dir=tmp_path) for seed in (0, 1)]
    path = runs[0].path / "summary.json"
    summary = json.loads(path.read_text())
    summary["seconds"] = summary["final"]["test_mse"]["mean"] = "HERE"
    path.write_text(json.dumps(summary).replace('"HERE"', text))
    assert sorted(each["status"] for each in list_runs(tmp_path)) == ["broken", "finished"]
    with pytest.raises(InputError, match=r"summary\.json") as caught:
        compare(*runs)
    assert len(caught.value.problems) == 1
