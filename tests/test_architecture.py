"""The rules of the house that hold for every file, read off the syntax trees; and what starting up may load."""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import minidl_cli
from minidl_cli.cli import VERBS

PACKAGE = Path(minidl_cli.__file__).parent
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

# A file imports from its own room and from floors below it. Rooms of one floor stand side by side.
FLOORS = {
    "cli": 7,
    "commands": 6,
    "sweeps": 5,
    "reference": 5,
    "exporting": 5,
    "drafting": 5,
    "training": 4,
    "config": 3,
    "data": 3,
    "nn": 3,
    "optim": 3,
    "compiled": 3,
    "display": 2,
    "runs": 2,
    "registry": 2,
    "comparison": 1,
    "metrics": 1,
    "statistics": 1,
    "scores": 1,
    "randomness": 1,
    "atomic": 1,
    "escaping": 1,
    "errors": 1,
    "interrupts": 1,
}
BESIDE = {("sweeps", "reference"), ("comparison", "statistics"), ("statistics", "randomness")}
BESIDE |= {("exporting", "reference"), ("atomic", "interrupts")}
# A verb parses, calls and prints: the mathematics is further down.
NOT_FOR = {("commands", "nn"), ("commands", "data"), ("commands", "optim")}

DOORWAY = {"__init__.py", "__main__.py"}
# They import modules whose names they compute.
BY_COMPUTED_NAME = {"__init__.py", "cli.py", "registry.py"}

HEAVY = {"torch", "numpy", "scipy", "matplotlib", "pydantic", "yaml", "rich", "polars", "safetensors"}
HEAVY |= {"onnx", "onnxruntime"}

Scanner = Callable[[ast.Module, str], Iterator[str]]


def room(file: str) -> str:
    return file.removesuffix(".py").split("/")[0]


def imported_names(tree: ast.Module, file: str) -> Iterator[str]:
    """Everything that is imported, anywhere in a file, by its full name: `minidl_cli.nn.layer.Layer`, `torch.nn`."""
    package = ["minidl_cli", *file.split("/")[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def dotted(node: ast.AST) -> str:
    """The name `a.b.c` that an expression is; `?.c` where it starts with something else."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else "?"


def starts_with(name: str, *prefixes: str) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def used_names(tree: ast.Module, file: str) -> Iterator[str]:
    yield from imported_names(tree, file)
    yield from (dotted(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute))


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def upward_imports(tree: ast.Module, file: str) -> Iterator[str]:
    """Imports of the house that do not run downward."""
    if file in DOORWAY:
        return
    here = room(file)
    for name in imported_names(tree, file):
        if not starts_with(name, "minidl_cli") or name == "minidl_cli.__version__":
            continue
        there = f"{name}.".split(".")[1]
        downward = there in FLOORS and FLOORS[there] < FLOORS[here] and (here, there) not in NOT_FOR
        if not (downward or there == here or (here, there) in BESIDE):
            yield name


def computed_imports(tree: ast.Module, file: str) -> Iterator[str]:
    """Imports that the other scanners cannot follow."""
    if file not in BY_COMPUTED_NAME:
        yield from (name for name in used_names(tree, file) if name == "importlib.import_module")
    yield from (node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "__import__")
    yield from (name for name in imported_names(tree, file) if name.endswith(".*"))


def autograd(tree: ast.Module, file: str) -> Iterator[str]:
    """What derives by itself, and modules and optimizers that are not ours; allowed in `reference/`."""
    if room(file) == "reference":
        return
    forbidden = ("torch.nn", "torch.autograd", "torch.optim", "torch.func", "torch.compile", "torch.jit")
    yield from (name for name in used_names(tree, file) if starts_with(name, *forbidden))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ("another name for torch" for each in node.names if each.name == "torch" and each.asname)
        if isinstance(node, ast.Attribute) and node.attr in {"requires_grad", "requires_grad_"}:
            yield dotted(node)
        if isinstance(node, ast.keyword) and node.arg == "requires_grad":
            yield "requires_grad="
        if isinstance(node, ast.Call) and dotted(node.func).endswith(".backward") and not (node.args or node.keywords):
            yield f"{dotted(node.func)}()"


DRAWING = {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "poisson", "binomial"}
DRAWING |= {"rand_like", "randn_like", "randint_like", "dropout"}
DRAWING_IN_PLACE = {"uniform_", "normal_", "random_", "bernoulli_", "exponential_", "cauchy_", "geometric_"}
DRAWING_IN_PLACE |= {"log_normal_", "multinomial", "bernoulli"}
GLOBAL_STATE = {"manual_seed", "seed", "initial_seed", "set_rng_state", "get_rng_state", "default_generator", "random"}


def global_generator(tree: ast.Module, file: str) -> Iterator[str]:
    """Random numbers that are no function of a seed, a purpose and an epoch."""
    torch_names = tuple(f"torch.{name}" for name in GLOBAL_STATE)
    if room(file) == "reference":
        return  # PyTorch's own modules know no other generator.
    forbidden = ("random", "numpy.random", "np.random", *torch_names)
    yield from (name for name in used_names(tree, file) if starts_with(name, *forbidden))
    yield from (name for name in imported_names(tree, file) if name in {f"torch.{each}" for each in DRAWING})
    for call in calls(tree):
        name = dotted(call.func)
        first, last = name.split(".")[0], name.split(".")[-1]
        given = {keyword.arg: keyword.value for keyword in call.keywords}.get("generator")
        is_given = given is not None and not (isinstance(given, ast.Constant) and given.value is None)
        is_drawing = (first == "torch" and last in DRAWING) or ("." in name and last in DRAWING_IN_PLACE)
        if is_drawing and not is_given:
            yield f"{name} without a generator"


def code_from_data(tree: ast.Module, file: str) -> Iterator[str]:
    """Ways in which a file that was read could run code."""
    forbidden = ("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "torch.load", "torch.save")
    forbidden += (
        "yaml.unsafe_load",
        "yaml.full_load",
        "yaml.load_all",
        "yaml.load",
        "yaml.UnsafeLoader",
        "yaml.Loader",
    )
    yield from (name for name in used_names(tree, file) if starts_with(name, *forbidden))
    yield from (
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in {"eval", "exec", "compile"}
    )
    for call in calls(tree):
        yield from ("allow_pickle=" for keyword in call.keywords if keyword.arg == "allow_pickle")


SCANNERS: list[Scanner] = [upward_imports, computed_imports, autograd, global_generator, code_from_data]


def scan(scanner: Scanner, source: str, file: str) -> list[str]:
    return list(scanner(parsed(source), file))


parsed = cache(ast.parse)


@pytest.mark.parametrize("file", FILES)
def test_every_file_keeps_the_rules(file: str) -> None:
    source = (PACKAGE / file).read_text()
    found = {scanner.__name__: scan(scanner, source, file) for scanner in SCANNERS}
    assert not any(found.values()), found


def test_every_file_has_its_floor() -> None:
    assert {room(file) for file in FILES} - {"__init__", "__main__"} == set(FLOORS)


def test_the_doorway_leads_to_its_homes_when_asked() -> None:
    for name in minidl_cli.__all__:
        assert getattr(minidl_cli, name).__module__ == "minidl_cli" + minidl_cli._HOMES[name]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = minidl_cli.nothing


OFFENCES: list[tuple[Scanner, str, str]] = [
    (upward_imports, "nn/layer.py", "from ..training.build import build"),
    (upward_imports, "nn/layer.py", "from ..config.schema import Config"),
    (upward_imports, "nn/layers/linear.py", "from ...optim import sgd"),
    (upward_imports, "nn/layers/__init__.py", "from ...data.dataset import Part"),
    (upward_imports, "nn/layer.py", "from .. import data"),
    (upward_imports, "nn/layer.py", "from .. import train"),
    (upward_imports, "nn/layer.py", "import minidl_cli"),
    (upward_imports, "nn/layer.py", "import minidl_cli.training.build as b"),
    (upward_imports, "nn/layer.py", "from minidl_cli.training import build"),
    (upward_imports, "config/load.py", "def f():\n    from ..training.build import registry"),
    (upward_imports, "config/load.py", "if TYPE_CHECKING:\n    from ..training.build import Task"),
    (upward_imports, "errors.py", "from . import registry"),
    (upward_imports, "errors.py", "from .statistics import summarize"),
    (upward_imports, "registry.py", "from .runs.folder import Run"),
    (upward_imports, "display/tables.py", "from ..runs.folder import Run"),
    (upward_imports, "reference/gradient_check.py", "from ..sweeps.sweep import sweep"),
    (upward_imports, "training/trainer.py", "from ..reference import gradient_check"),
    (upward_imports, "commands/train.py", "from ..nn.sequential import Sequential"),
    (upward_imports, "commands/train.py", "from ..cli import main"),
    (computed_imports, "nn/layer.py", "from importlib import import_module"),
    (computed_imports, "nn/layer.py", "import importlib\nimportlib.import_module('x')"),
    (computed_imports, "nn/layer.py", "__import__('x')"),
    (computed_imports, "nn/layer.py", "from .loss import *"),
    (autograd, "nn/layer.py", "import torch.nn"),
    (autograd, "nn/layer.py", "import torch.nn.functional as F"),
    (autograd, "nn/layer.py", "from torch import nn"),
    (autograd, "nn/layer.py", "from torch.nn.functional import relu"),
    (autograd, "nn/layer.py", "import torch\ny = torch.nn.functional.relu(x)"),
    (autograd, "nn/layer.py", "torch.autograd.grad(y, x)"),
    (autograd, "nn/layer.py", "from torch import autograd"),
    (autograd, "optim/sgd.py", "torch.optim.SGD([])"),
    (autograd, "optim/sgd.py", "from torch.optim import SGD"),
    (autograd, "nn/layer.py", "torch.func.grad(f)(x)"),
    (autograd, "nn/layer.py", "from torch.func import grad"),
    (autograd, "nn/layer.py", "x.requires_grad_()"),
    (autograd, "nn/layer.py", "x.requires_grad = True"),
    (autograd, "nn/layer.py", "torch.ones(1, requires_grad=True)"),
    (autograd, "training/trainer.py", "loss.backward()"),
    (autograd, "training/trainer.py", "self.loss(x).sum().backward()"),
    (autograd, "nn/layer.py", "import torch as t"),
    (global_generator, "data/disc.py", "import random"),
    (global_generator, "data/disc.py", "from random import random"),
    (global_generator, "data/disc.py", "from numpy import random"),
    (global_generator, "data/disc.py", "import numpy.random as r"),
    (global_generator, "data/disc.py", "np.random.rand(3)"),
    (global_generator, "data/disc.py", "np.random.default_rng(0)"),
    (global_generator, "data/disc.py", "torch.manual_seed(0)"),
    (global_generator, "data/disc.py", "torch.seed()"),
    (global_generator, "data/disc.py", "torch.random.fork_rng()"),
    (global_generator, "data/disc.py", "torch.get_rng_state()"),
    (global_generator, "data/disc.py", "from torch import manual_seed"),
    (global_generator, "data/disc.py", "torch.rand(2, 3)"),
    (global_generator, "data/disc.py", "torch.randn(2, generator=None)"),
    (global_generator, "data/disc.py", "torch.randperm(5, dtype=torch.int64)"),
    (global_generator, "data/disc.py", "torch.rand_like(x)"),
    (global_generator, "data/disc.py", "from torch import randn"),
    (global_generator, "nn/layer.py", "torch.empty(3).uniform_(0, 1)"),
    (global_generator, "nn/layer.py", "x.normal_()"),
    (global_generator, "nn/layer.py", "x.bernoulli_(0.5)"),
    (global_generator, "nn/layer.py", "p.multinomial(3)"),
    (code_from_data, "runs/folder.py", "import pickle"),
    (code_from_data, "runs/folder.py", "from pickle import loads"),
    (code_from_data, "runs/folder.py", "def f():\n    import marshal"),
    (code_from_data, "runs/folder.py", "torch.load('x')"),
    (code_from_data, "runs/folder.py", "from torch import load"),
    (code_from_data, "runs/folder.py", "np.load('x', allow_pickle=True)"),
    (code_from_data, "runs/folder.py", "yaml.load(text, yaml.Loader)"),
    (code_from_data, "config/load.py", "eval('1 + 1')"),
    (code_from_data, "config/load.py", "exec(text)"),
    (code_from_data, "config/load.py", "f = eval"),
]

INNOCENT: list[tuple[Scanner, str, str]] = [
    (upward_imports, "nn/layers/linear.py", "from ...registry import PositiveInt\nfrom ..layer import Layer"),
    (upward_imports, "nn/layers/__init__.py", "from ..layer import Layer\nfrom .linear import Linear"),
    (
        upward_imports,
        "sweeps/sweep.py",
        "from .. import __version__\nfrom ..reference.gradient_check import Comparison",
    ),
    (upward_imports, "training/build.py", "from .. import data, optim\nimport minidl_cli.nn.layer"),
    (upward_imports, "commands/train.py", "from . import _options\nfrom ..runs.folder import Run"),
    (upward_imports, "__init__.py", "from .training.build import load_config"),
    (upward_imports, "nn/layer.py", "import minidl_cli_extras"),
    (computed_imports, "cli.py", "from importlib import import_module"),
    (autograd, "reference/modules.py", "import torch.nn as nn\ny.sum().backward()\nx.requires_grad_()"),
    (autograd, "nn/layer.py", "from ..nn import layers\nnetwork.backward(grad)\nfrom torch import Tensor"),
    (autograd, "nn/layer.py", "layer.backward(grad=grad)\n'torch.nn.Linear'"),
    (global_generator, "data/disc.py", "torch.rand(2, 3, generator=numbers)\nx.uniform_(0, 1, generator=numbers)"),
    (global_generator, "randomness.py", "torch.Generator().manual_seed(3)"),
    (global_generator, "nn/layer.py", "from ..initializers import normal\nfrom ..randomness import generator"),
    (global_generator, "nn/layer.py", "from ..initializers.normal import Normal\nnormal(0.0, 1.0)"),
    (code_from_data, "config/load.py", "re.compile('x')\nlayer.eval()\nyaml.safe_load(text)"),
]


@pytest.mark.parametrize(("scanner", "file", "source"), OFFENCES)
def test_scanners_find_offences(scanner: Scanner, file: str, source: str) -> None:
    assert scan(scanner, source, file)


@pytest.mark.parametrize(("scanner", "file", "source"), INNOCENT)
def test_scanners_leave_innocent_code_alone(scanner: Scanner, file: str, source: str) -> None:
    assert scan(scanner, source, file) == []


def loaded_modules(*arguments: str) -> set[str]:
    """The modules that an interpreter loads when started like this, by their top-level names."""
    done = subprocess.run([sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def test_what_is_loaded_is_seen() -> None:
    assert {"minidl_cli", "yaml"} <= loaded_modules("-c", "import minidl_cli\ndef f():\n    import yaml\nf()")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "import minidl_cli"],
        ["-m", "minidl_cli", "--help"],
        ["-m", "minidl_cli", "--version"],
        *[["-m", "minidl_cli", verb, "--help"] for verb in VERBS],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_starting_up_loads_nothing_heavy(arguments: list[str]) -> None:
    loaded = loaded_modules(*arguments)
    assert "minidl_cli" in loaded
    assert loaded & HEAVY == set()
