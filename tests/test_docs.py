"""Documents that cannot drift: what they show is run."""

import importlib
import re
import sys
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
        assert (path.parent / target).exists(), target


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
