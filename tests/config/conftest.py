"""Configs from text, and configs drawn from all the components that there are."""

import math
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import uuid4

import pytest
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import strategies as st
from pydantic import AfterValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from minidl_cli import data, optim
from minidl_cli.config.dump import to_yaml
from minidl_cli.config.schema import Config
from minidl_cli.data.dataset import Dataset
from minidl_cli.errors import InputError
from minidl_cli.nn import initializers, losses
from minidl_cli.nn.layer import Initializer, Layer
from minidl_cli.nn.loss import Loss
from minidl_cli.optim import schedules
from minidl_cli.optim.optimizer import Optimizer
from minidl_cli.optim.schedule import Schedule
from minidl_cli.registry import Kind, Registry
from minidl_cli.training.build import load_config, registry

# The top-level keys of a complete config, in which tests replace one or the other.
BASE = {
    "data": "disc",
    "model": "[linear: 2]",
    "loss": "mse",
    "optimizer": "{sgd: 0.1}",
    "training": "{epochs: 3, batch_size: 10}",
}


@pytest.fixture(scope="session")
def base_with() -> Callable[..., str]:
    """Returns the text of a complete config, a key a line, those given (`key="text"`) at its end."""

    def write(**values: str) -> str:
        kept = {key: value for key, value in BASE.items() if key not in values}
        return "".join(f"{key}: {value}\n" for key, value in {**kept, **values}.items())

    return write


@pytest.fixture(scope="session")
def load_text(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Config]:
    """Returns the config of a file `c.yaml` with this text, under these overrides."""
    file = tmp_path_factory.mktemp("configs") / "c.yaml"

    def load(text: str, *settings: str) -> Config:
        file.write_text(text, encoding="utf-8")
        try:
            return load_config(file, settings)
        except InputError as error:
            raise InputError([line.replace(f"{file.parent}/", "", 1) for line in error.problems]) from error

    return load


@pytest.fixture(scope="session")
def problems(load_text: Callable[..., Config]) -> Callable[..., list[str]]:
    """Returns the lines of the error that a file `c.yaml` with this text is, under these overrides."""

    def find(text: str, *settings: str) -> list[str]:
        with pytest.raises(InputError) as caught:
            load_text(text, *settings)
        return caught.value.problems

    return find


@dataclass(frozen=True)
class Drawn:
    """A component that a strategy has drawn: some of its arguments, nested components among them."""

    name: str
    arguments: dict[str, Any]
    first_argument: str | None

    def spelled_out(self) -> dict[str, Any]:
        arguments = self.arguments.items()
        return {
            self.name: {key: value.spelled_out() if isinstance(value, Drawn) else value for key, value in arguments}
        }

    def writings(self) -> Iterator[Any]:
        """Every way of writing it, with every way of writing the nested ones."""
        ways = [list(value.writings()) if isinstance(value, Drawn) else [value] for value in self.arguments.values()]
        for values in product(*ways):
            arguments = dict(zip(self.arguments, values, strict=True))
            yield {self.name: arguments}
            if not arguments:
                yield self.name
                yield {self.name: None}
            elif list(arguments) == [self.first_argument] and not isinstance(values[0], dict | None):
                yield {self.name: values[0]}

    def is_part_of(self, component: Any) -> bool:
        """Whether a component of a loaded config has the name and the arguments drawn here."""
        return component.name == self.name and all(
            value.is_part_of(component.arguments[key])
            if isinstance(value, Drawn)
            else component.arguments[key] == (tuple(value) if isinstance(value, list) else value)
            for key, value in self.arguments.items()
        )


def _values(declared: FieldInfo) -> st.SearchStrategy[Any]:
    if kind := Kind.of(declared):
        is_optional = any(isinstance(mark, Kind) and mark.optional for mark in declared.metadata)
        return drawn_components(kind) | (st.none() if is_optional else st.nothing())
    return _plain_values(declared.annotation, declared.metadata)


def _plain_values(hint: Any, metadata: Any = ()) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _plain_values(
            arguments[0], [mark for item in arguments[1:] for mark in getattr(item, "metadata", [item])]
        )
    if origin in (Union, types.UnionType):
        return st.one_of(*map(_plain_values, arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(_plain_values(arguments[0]), min_size=1, max_size=3, unique=True)
    if origin is tuple:
        return st.tuples(*map(_plain_values, arguments)).map(list)
    if origin is dict:
        return st.dictionaries(*map(_plain_values, arguments), min_size=1, max_size=3)
    if hint is str:
        return st.text("aZ09_ #:'é-", min_size=1, max_size=5).map(_prefix_of(metadata).__add__)
    if hint in (int, float):
        numbers = _numbers_between(*_bounds(metadata), hint)
        return numbers.filter(lambda number: all(_allows(mark, number) for mark in metadata))
    return st.from_type(hint)


def _prefix_of(metadata: Any) -> str:
    """What text begins with: the path of a data file is absolute, so that it stays as it is."""
    return "/" if any(isinstance(mark, AfterValidator) for mark in metadata) else ""


def _numbers_between(low: float, high: float, kind: type) -> st.SearchStrategy[float]:
    whole = st.integers(math.ceil(low), math.floor(high))
    return whole if kind is int else whole | st.floats(low, high)


def _bounds(metadata: Any) -> tuple[float, float]:
    low = [mark.gt if isinstance(mark, Gt) else mark.ge for mark in metadata if isinstance(mark, Gt | Ge)]
    high = [mark.lt if isinstance(mark, Lt) else mark.le for mark in metadata if isinstance(mark, Lt | Le)]
    return max(low, default=-(10**9)), min(high, default=10**9)


def _allows(mark: Any, number: float) -> bool:
    return not (isinstance(mark, Gt) and number <= mark.gt) and not (isinstance(mark, Lt) and number >= mark.lt)


@st.composite
def drawn_components(draw: st.DrawFn, kind: str) -> Drawn:
    """Any component of a kind, with any subset of its optional arguments, of values that do not contradict."""
    known = registry().types[kind][draw(st.sampled_from(sorted(registry().types[kind])))]
    fields = known.arguments.model_fields

    def of_names(names: list[str]) -> st.SearchStrategy[Drawn]:
        values = st.fixed_dictionaries({name: _values(fields[name]) for name in names})
        return values.map(lambda arguments: Drawn(known.name, arguments, known.first_argument))

    names = [name for name, declared in fields.items() if declared.is_required() or draw(st.booleans())]
    return draw(of_names(names).filter(lambda drawn: _is_consistent(kind, drawn)))


def _is_consistent(kind: str, drawn: Drawn) -> bool:
    try:
        registry().component(kind, drawn.spelled_out())
    except PydanticCustomError as error:
        if error.type != "contradiction":
            raise
        return False
    return True


@dataclass(frozen=True)
class DrawnConfig:
    """The components of a config that a strategy has drawn."""

    data: Drawn
    model: list[Drawn]
    init: Drawn
    loss: Drawn
    optimizer: Drawn
    schedule: Drawn

    def spelled_out(self) -> str:
        return self._text(lambda drawn: drawn.spelled_out())

    def write(self, choose: Callable[[list[Any]], Any]) -> str:
        """Return the config's text, each component in the way of writing that `choose` takes of those there are."""
        return self._text(lambda drawn: choose(list(drawn.writings())))

    def _text(self, write: Callable[[Drawn], Any]) -> str:
        document = {key: write(getattr(self, key)) for key in ("data", "init", "loss", "optimizer")}
        document["model"] = [write(layer) for layer in self.model]
        training = {"epochs": 3, "batch_size": 10, "schedule": write(self.schedule)}
        return to_yaml({**document, "training": training})

    def is_part_of(self, config: Config) -> bool:
        """Whether a loaded config has the components drawn here."""
        return (
            all(getattr(self, key).is_part_of(getattr(config, key)) for key in ("data", "init", "loss", "optimizer"))
            and self.schedule.is_part_of(config.training.schedule)
            and len(self.model) == len(config.model)
            and all(drawn.is_part_of(layer) for drawn, layer in zip(self.model, config.model, strict=True))
        )


@pytest.fixture(scope="session")
def drawn_configs() -> st.SearchStrategy[DrawnConfig]:
    """A strategy of configs with any components."""
    return st.builds(
        DrawnConfig,
        data=drawn_components("dataset"),
        model=st.lists(drawn_components("layer"), min_size=1, max_size=3),
        init=drawn_components("initializer"),
        loss=drawn_components("loss"),
        optimizer=drawn_components("optimizer"),
        schedule=drawn_components("schedule"),
    )


@pytest.fixture
def registry_with_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Registry]]:
    """Returns a registry whose only layer is that of a new file of this name and source."""
    package = f"layers_{uuid4().hex}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def add(name: str, source: str) -> Registry:
        (tmp_path / package / f"{name}.py").write_text(source, encoding="utf-8")
        found = Registry()
        found.add_package("initializer", Initializer, initializers)
        found.add_package("dataset", Dataset, data)
        found.add_package("layer", Layer, import_module(package))
        found.add_package("loss", Loss, losses)
        found.add_package("schedule", Schedule, schedules)
        found.add_package("optimizer", Optimizer, optim)
        return found

    yield add
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]
