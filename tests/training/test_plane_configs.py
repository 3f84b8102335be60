"""The shipped configs of points in a plane learn what their first lines say."""

import re
from pathlib import Path

import pytest

from minidl_cli.training.build import load_config
from minidl_cli.training.trainers import Trainers

FOLDER = Path(__file__).parents[2] / "configs" / "plane"
FILES = sorted(FOLDER.glob("*.yaml"))


def test_every_dataset_of_a_plane_has_one() -> None:
    names = {"checkerboard", "circles", "gaussians", "moons", "regression_2d", "spirals", "xor"}
    assert {file.stem for file in FILES} == names
    assert all(load_config(file).data.name == load_config(file).name == file.stem for file in FILES)


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_configs_learn_what_they_say(file: Path) -> None:
    """As most rounds do: some of a sweep are less lucky."""
    said = re.search(r"^# .*[Aa]bout (0\.\d+).* after (\d+) epochs", file.read_text(), re.MULTILINE)
    assert said
    config = load_config(file)
    assert config.training.epochs == int(said[2])
    trainer = Trainers(config).of([0, 1, 2])
    for _ in trainer.epochs():
        pass
    finals = [each.metrics for each in trainer.rounds()]
    measure, bound = ("test_mse", 0.0005) if file.stem == "regression_2d" else ("test_accuracy", 0.015)
    assert sorted(each[measure] for each in finals)[1] == pytest.approx(float(said[1]), abs=bound)
