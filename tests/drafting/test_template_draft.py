"""Drafts for datasets that need no file."""

import inspect
from pathlib import Path

import pytest

from minidl_cli.config.schema import Config
from minidl_cli.drafting.template_draft import draft_template, templates
from minidl_cli.errors import InputError
from minidl_cli.training.build import build, load_config, registry
from minidl_cli.training.trainer import Trainer
from tests.drafting.tables import train


def drafted(folder: Path, name: str) -> Config:
    path = folder / f"{name}.yaml"
    path.write_text(draft_template(name, path).text)
    return load_config(path)


def test_every_dataset_without_required_arguments_is_a_template():
    classes = {name: known.cls for name, known in registry().types["dataset"].items()}
    needy = {
        name
        for name, cls in classes.items()
        if any(each.default is inspect.Parameter.empty for each in inspect.signature(cls).parameters.values())
    }

    assert needy == {"table"}
    assert set(templates()) == set(classes) - needy
    assert {"disc", "xor", "moons", "regression_2d"} <= set(templates())


@pytest.mark.parametrize("name", templates())
def test_every_template_trains(tmp_path: Path, name: str):
    config = drafted(tmp_path, name)

    assert config.name == name
    assert train(tmp_path / f"{name}.yaml") == ["finished", "finished"]


@pytest.mark.parametrize("name", templates())
def test_every_argument_is_there_with_its_default_and_meaning(tmp_path: Path, name: str):
    config = drafted(tmp_path, name)
    text = (tmp_path / f"{name}.yaml").read_text()
    described = registry().types["dataset"][name].described_arguments()

    assert dict(config.data.arguments) == {key: each["default"] for key, each in described.items()}
    comments = " ".join(line.partition("# ")[2] for line in text.splitlines())
    assert all(each["meaning"].removesuffix(".") in comments for each in described.values())


@pytest.mark.parametrize(("name", "least"), [("disc", 0.97), ("xor", 0.97), ("spirals", 0.98)])
def test_templates_learn(tmp_path: Path, name: str, least: float):
    config = drafted(tmp_path, name)
    trainer = Trainer(build(load_config(tmp_path / f"{name}.yaml", ["training.epochs=60"])), [0])
    *_, last = trainer.epochs()

    assert config.training.epochs == 200
    assert last.metrics["test_accuracy"][0] > least


@pytest.mark.parametrize(("name", "meant"), [("mons", "did you mean 'moons'? "), ("zzz", ""), ("table", "")])
def test_unknown_template(tmp_path: Path, name: str, meant: str):
    with pytest.raises(InputError) as caught:
        draft_template(name, tmp_path / "a.yaml")

    (line,) = caught.value.problems
    assert line == f"--template {name}: no such template; {meant}there are {', '.join(templates())}"
