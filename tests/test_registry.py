"""Components by kind and name, and what their constructors say of them."""

import inspect
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

import minidl_cli
from minidl_cli.nn.initializers.normal import Normal
from minidl_cli.nn.initializers.torch_default import TorchDefault
from minidl_cli.nn.layers.linear import Linear
from minidl_cli.registry import Component, ComponentType, Registry
from minidl_cli.training.build import registry

PACKAGE = Path(minidl_cli.__file__).parent

EVERY_TYPE = [(kind, known) for kind, types in registry().types.items() for known in types.values()]
every_type = pytest.mark.parametrize(
    ("kind", "known"), EVERY_TYPE, ids=[f"{kind}-{known.name}" for kind, known in EVERY_TYPE]
)


@pytest.mark.parametrize(
    ("kind", "folder"), [("layer", "nn/layers"), ("loss", "nn/losses"), ("initializer", "nn/initializers")]
)
def test_every_module_of_a_folder_is_a_component_of_its_name(kind: str, folder: str) -> None:
    assert set(registry().types[kind]) == {path.stem for path in (PACKAGE / folder).glob("[!_]*.py")}


def test_what_a_component_is_is_no_component() -> None:
    types = registry().types
    assert {"linear", "tanh", "relu", "sigmoid"} <= set(types["layer"])
    assert "disc" in types["dataset"]
    assert not {"dataset", "plane"} & set(types["dataset"])
    assert "sgd" in types["optimizer"]
    assert "optimizer" not in types["optimizer"]


@every_type
def test_a_module_defines_one_component(kind: str, known: ComponentType) -> None:
    of_this_module = [other.name for _, other in EVERY_TYPE if other.cls.__module__ == known.cls.__module__]
    assert of_this_module == [known.cls.__module__.split(".")[-1]]


@every_type
def test_a_component_says_what_it_is(kind: str, known: ComponentType) -> None:
    assert known.summary
    assert known.summary[0].isupper()
    assert known.summary == inspect.getdoc(known.cls).split("\n")[0]


@every_type
def test_every_argument_has_a_meaning_and_no_other(kind: str, known: ComponentType) -> None:
    assert set(known.argument_meanings) == set(inspect.signature(known.cls).parameters)
    assert all(meaning.endswith(".") for meaning in known.argument_meanings.values())


@every_type
def test_the_arguments_are_those_of_the_constructor(kind: str, known: ComponentType) -> None:
    parameters = inspect.signature(known.cls).parameters
    described = known.described_arguments()
    assert list(described) == list(parameters)
    required = [name for name, each in parameters.items() if each.default is inspect.Parameter.empty]
    assert [name for name, each in described.items() if "default" not in each] == required
    assert known.first_argument == (next(iter(parameters)) if parameters else None)


def test_describe_says_what_a_config_may_write() -> None:
    described = registry().describe()
    assert set(described) == set(registry().types)
    assert all(list(types) == sorted(types) for types in described.values())
    assert described["layer"]["tanh"] == {
        "summary": "The hyperbolic tangent y = tanh(x), element by element.",
        "arguments": {},
    }
    assert described["layer"]["linear"]["arguments"] == {
        "out_features": {"meaning": "the number of outputs."},
        "bias": {"meaning": "whether b is there.", "default": True},
        "init": {
            "meaning": "the distribution of W's initial values; by default the `init` of the whole model.",
            "default": None,
        },
        "bias_init": {"meaning": "the distribution of b's initial values.", "default": "torch_default"},
    }


def test_first_arguments() -> None:
    types = registry().types
    assert types["layer"]["linear"].first_argument == "out_features"
    assert types["layer"]["tanh"].first_argument is None
    assert types["optimizer"]["sgd"].first_argument == "lr"
    assert types["loss"]["mse"].first_argument == "reduction"


def component_type(cls: type) -> ComponentType:
    return ComponentType("example", cls, {})


def test_meanings_over_several_lines_are_joined() -> None:
    class Example:
        """An example.

        More about it, with a colon: and another.

        Args:
            first: of one line.
            second: of two
                lines.

        Raises:
            ValueError: not an argument.
        """

        def __init__(self, first: int, second: int):
            pass

    assert component_type(Example).argument_meanings == {"first": "of one line.", "second": "of two lines."}
    assert component_type(Example).summary == "An example."


def test_without_a_docstring_there_is_no_meaning() -> None:
    class Example:
        def __init__(self, first: int = 3):
            pass

    described = component_type(Example).described_arguments()
    assert described == {"first": {"meaning": "", "default": 3}}
    assert component_type(Example).summary == ""


def test_a_component_is_filled_with_its_defaults() -> None:
    component = registry().component("layer", {"linear": {"out_features": 3}})
    arguments = {"out_features": 3, "bias": True, "init": None}
    assert component == Component("linear", {**arguments, "bias_init": Component("torch_default", {})})
    assert component.spelled_out() == {"linear": {**arguments, "bias_init": "torch_default"}}
    assert registry().component("layer", {"tanh": {}}).spelled_out() == "tanh"
    assert registry().component("layer", component) is component


def test_make_constructs_nested_components() -> None:
    component = registry().component("layer", {"linear": {"out_features": 3, "init": {"normal": {"std": 0.5}}}})
    layer = registry().make("layer", component)
    assert isinstance(layer, Linear)
    assert isinstance(layer.init, Normal)
    assert (layer.out_features, layer.has_bias, layer.init.std) == (3, True, 0.5)
    plain = registry().make("layer", registry().component("layer", {"linear": {"out_features": 3}}))
    assert plain.init is None
    assert isinstance(plain.bias_init, TorchDefault)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("dataset", {"disc": {"train": 3, "target_values": [-1, 1.5]}}),
        (
            "layer",
            {"linear": {"out_features": 3, "init": {"normal": {"std": 0.5}}, "bias_init": {"normal": {"std": 1.0}}}},
        ),
        ("loss", {"mse": {"reduction": "sum"}}),
        ("optimizer", {"sgd": {"lr": 0.1, "momentum": 0.5, "nesterov": True}}),
    ],
)
def test_a_component_spelled_out_is_read_as_the_same(kind: str, value: dict[str, object]) -> None:
    component = registry().component(kind, value)
    assert registry().component(kind, component.spelled_out()) == component


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("linear", "not a name, nor a name and its arguments"),
        ({}, "not a name, nor a name and its arguments"),
        (3, "not a name, nor a name and its arguments"),
        ({"tanh": {}, "relu": {}}, "not a name, nor a name and its arguments"),
        ({"tahn": {}}, "no such layer"),
    ],
)
def test_what_is_no_component_is_refused(value: object, problem: str) -> None:
    with pytest.raises(PydanticCustomError, match=problem):
        registry().component("layer", value)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"out_features": 0},
        {"out_features": 2.0},
        {"out_features": "3"},
        {"out_features": True},
        {"out_features": 3, "bias": 1},
        {"out_features": 3, "width": 1},
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        registry().component("layer", {"linear": arguments})


@pytest.mark.parametrize("lr", [0, -0.1, float("inf"), float("nan"), "0.1", None])
def test_wrong_numbers_are_refused(lr: object) -> None:
    with pytest.raises(ValidationError):
        registry().component("optimizer", {"sgd": {"lr": lr}})


def test_arguments_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(PydanticCustomError, match="sgd: nesterov needs a momentum above 0"):
        registry().component("optimizer", {"sgd": {"lr": 0.1, "nesterov": True}})


def test_only_classes_that_a_package_defines_itself_are_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shapes"
    folder.mkdir()
    (folder / "__init__.py").write_text("class Shape:\n    pass\n")
    (tmp_path / "elsewhere.py").write_text("from shapes import Shape\n\nclass Triangle(Shape):\n    pass\n")
    (folder / "circle.py").write_text(
        "from elsewhere import Triangle\nfrom . import Shape\n\n"
        "class Circle(Shape):\n    '''Round.'''\n    def __init__(self, radius: float = 1.0):\n"
        "        self.radius = radius\n\nclass Helper:\n    pass\n"
    )
    (folder / "unit_square.py").write_text(
        "from . import Shape\nfrom .circle import Circle\n\nclass Square(Shape):\n    '''Four corners.'''\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    shapes: ModuleType = __import__("shapes")
    found = Registry()
    found.add_package("shape", shapes.Shape, shapes)
    assert {name: known.cls.__name__ for name, known in found.types["shape"].items()} == {
        "circle": "Circle",
        "unit_square": "Square",
    }
    assert found.describe() == {
        "shape": {
            "circle": {"summary": "Round.", "arguments": {"radius": {"meaning": "", "default": 1.0}}},
            "unit_square": {"summary": "Four corners.", "arguments": {}},
        }
    }
    assert found.make("shape", found.component("shape", {"circle": {"radius": 2.0}})).radius == 2.0


def test_a_class_that_leaves_methods_to_others_is_no_component(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tools"
    folder.mkdir()
    abstract = "from abc import ABC, abstractmethod\n"
    (folder / "__init__.py").write_text(f"{abstract}\nclass Tool(ABC):\n    @abstractmethod\n    def use(self): ...\n")
    (folder / "blade.py").write_text(
        f"{abstract}from . import Tool\n\n"
        "class Blade(Tool):\n    def use(self): ...\n\n    @abstractmethod\n    def cut(self): ...\n"
    )
    (folder / "knife.py").write_text("from .blade import Blade\n\nclass Knife(Blade):\n    def cut(self): ...\n")
    (folder / "unfinished.py").write_text("from . import Tool\n\nclass Unfinished(Tool):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    tools: ModuleType = __import__("tools")
    found = Registry()
    found.add_package("tool", tools.Tool, tools)
    # One that only lacks a method is not passed over in silence: making it fails, and says which.
    assert set(found.types["tool"]) == {"knife", "unfinished"}
    with pytest.raises(TypeError, match="abstract method"):
        found.make("tool", Component("unfinished"))
