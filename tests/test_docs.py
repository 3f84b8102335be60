"""Documents that cannot drift: what they show is run."""

import importlib
import math
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from minidl_cli import load_config
from minidl_cli.cli import VERBS
from minidl_cli.cli import minidl as group
from minidl_cli.nn import layers
from minidl_cli.nn.layer import Layer
from minidl_cli.reference.gradient_check import check_gradients
from minidl_cli.registry import Registry
from minidl_cli.training import build

ROOT = Path(__file__).parent.parent
# A number as tables and files have it, such as 2,292.7 or 1e-07.
NUMBER = r"(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:e-?\d+)?)"
YOUR_OWN_DATA = ROOT / "docs/your-own-data.md"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(path: Path, *languages: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)
    return [content for language, content in found if language in languages]


def commands(path: Path) -> list[list[str]]:
    """Returns the words of every `minidl …` of a document, comments left out."""
    shown = "".join(blocks(path, "sh", ""))
    lines = re.findall(r"^(?:\$ )?(minidl [^\n#]*)", shown, re.MULTILINE)
    lines += re.findall(r"`(minidl [^`]*)`", path.read_text())
    return [line.split() for line in lines]


def test_readme_explains_every_verb():
    assert {words[1] for words in commands(ROOT / "README.md")} >= set(VERBS)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_exist(path):
    context = click.Context(group)
    for words in commands(path):
        command = group.get_command(context, words[1])
        assert command, words
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        used = {word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)}
        assert used <= known | {"--help"}, words


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert "://" in target or (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_nothing_is_left_to_be_filled_in(path):
    assert not re.search(r"^[A-Z]{4,}$|TODO|FIXME|\{\{", path.read_text(), re.MULTILINE)


def test_config_in_the_readme_is_the_shipped_one():
    shown, _ = blocks(ROOT / "README.md", "yaml")
    assert yaml.safe_load(shown) == yaml.safe_load((ROOT / "configs/disc.yaml").read_text())


def test_other_keys_in_the_readme_are_known(tmp_path):
    _, shown = blocks(ROOT / "README.md", "yaml")
    config = yaml.safe_load((ROOT / "configs/disc.yaml").read_text()) | yaml.safe_load(shown)
    (tmp_path / "all.yaml").write_text(yaml.safe_dump(config))
    assert len(build.variants(load_config(tmp_path / "all.yaml"))) == 2


def test_mistake_in_the_readme(minidl):
    example = re.search(r"^\$ (minidl .*)\n(.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    words = [str(ROOT / word) if word.startswith("configs/") else word for word in example[1].split()[1:]]
    assert minidl(*words).err.rstrip() == example[2]


def test_python_in_the_readme(tmp_path, monkeypatch, capsys):
    (program,) = blocks(ROOT / "README.md", "python")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    exec(program.replace("training.epochs=100", "training.epochs=2"), {})
    path, accuracy = capsys.readouterr().out.split()
    assert Path(path).is_dir()
    assert 0 < float(accuracy) < 1


def test_documented_layer_works_as_it_stands(tmp_path, monkeypatch):
    """The file of the tutorial, put where it says: configs know it, and its gradient is right."""
    source = blocks(ROOT / "docs/add-a-layer.md", "python")[0]
    (tmp_path / "softsign.py").write_text(source)
    monkeypatch.setattr(layers, "__path__", [*layers.__path__, str(tmp_path)])
    found = Registry()
    found.types, found._kinds = dict(build.registry().types), dict(build.registry()._kinds)
    try:
        found.add_package("layer", Layer, layers)
        monkeypatch.setattr(build, "registry", lambda: found)
        assert found.describe()["layer"]["softsign"]["summary"].startswith("The softsign y = x / (1 + |x|)")
        config = load_config(ROOT / "configs/disc.yaml", ["model.1=softsign"])
        assert all(comparison.passed for comparison in check_gradients(config))
    finally:
        sys.modules.pop("minidl_cli.nn.layers.softsign", None)
        importlib.invalidate_caches()


def steps(path: Path) -> Iterator[tuple[str, str]]:
    """Yields every command that a document shows after `$`, in its order, and what it prints."""
    for content in blocks(path, ""):
        assert content.startswith("$ "), content
        yield from re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", content, re.MULTILINE)


def run_in_shell(command: str) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True, env=environment).stdout


def is_alike(printed: str, shown: str) -> bool:
    """Tells whether words and spaces are the same, and numbers but for their last digits; `…` is any lines."""
    printed, shown = (re.sub(r"-\d{8}-\d{6}-[0-9a-f]{4}|trained in .*", "", text) for text in (printed, shown))
    words = (re.escape(words).replace("…\\\n", r"(?:.*\n)*") for words in re.split(NUMBER, shown)[::2])
    match = re.fullmatch(NUMBER.join(words), printed)
    if not match:
        return False
    values = (
        [float(each.replace(",", "")) for each in numbers] for numbers in (match.groups(), re.findall(NUMBER, shown))
    )
    return all(math.isclose(*pair, rel_tol=0.02, abs_tol=0.002) for pair in zip(*values, strict=True))


def test_your_own_data(minidl, tmp_path):
    """Every command of the page, in its order: it prints what the page shows."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (program,) = blocks(YOUR_OWN_DATA, "python")
    (tmp_path / "classify.py").write_text(program)
    for command, shown in steps(YOUR_OWN_DATA):
        if command.startswith("minidl "):
            outcome = minidl(*shlex.split(command)[1:])
            printed = outcome.out or outcome.err
        else:
            printed = run_in_shell(command)
        assert is_alike(printed, shown), f"{command}\n{printed}"


# A row of the page's table whose second column is a line of YAML.
OPTIONS = re.findall(r"^\|[^|]*\| `(\w+: [^`]*)` \|", YOUR_OWN_DATA.read_text(), re.MULTILINE)


@pytest.mark.parametrize("option", OPTIONS)
def test_options_in_your_own_data(option, tmp_path):
    """Each works in a config of a table that has what all of them are about."""
    header = "price;area;rooms;postcode;part;grade"
    grades, parts = (1, 1, 2, 3), ("train", "train", "validation", "test")
    rows = [
        f"{400 - row},50;{row % 9},5;{row % 7 or ''};10{row % 3}15;{parts[row % 4]};{grades[row % 4]}"
        for row in range(1, 29)
    ]
    for name in ("flats.csv", "later.csv"):
        (tmp_path / name).write_text("\n".join([header, *rows]))
    config = yaml.safe_load((ROOT / "configs/iris.yaml").read_text())
    config["data"]["table"] = {"file": "flats.csv", "target": "grade", "missing": "mean"} | yaml.safe_load(option)
    (tmp_path / "flats.yaml").write_text(yaml.safe_dump(config))
    dataset = build.make_dataset(load_config(tmp_path / "flats.yaml"))
    assert dataset.fit(dataset.draw(0)["train"])
