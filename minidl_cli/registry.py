"""Components by kind and name, and what a config may say of each: a constructor's signature is its schema.

A component is a class that a config can name: a dataset, layer, loss, optimizer, schedule or initializer. Each stands
in a module of its own in the package of its kind, and the module's name is the component's name in YAML.
"""

import inspect
import os
import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import Annotated, Any, get_args, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    ValidationInfo,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
ProperFraction = Annotated[float, Field(ge=0, lt=1)]
Pair = Annotated[tuple[float, float], Strict(False)]  # YAML knows lists only


def _in_folder(path: str, info: ValidationInfo) -> str:
    return os.path.abspath(os.path.join((info.context or {}).get("folder", ""), path))  # noqa: PTH100, PTH118


# The path of a data file: relative to the folder of the config that names it, absolute once it is validated.
DataFile = Annotated[str, Field(min_length=1), AfterValidator(_in_folder)]


class StrictModel(BaseModel):
    """Values of exactly the declared types, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


@dataclass(frozen=True)
class Component:
    """A component as a config names it: the name, and every argument of its constructor."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def spelled_out(self) -> dict[str, Any] | str:
        """Return the form in which a resolved config writes it: a name, or a name with all arguments."""
        if not self.arguments:
            return self.name
        return {self.name: {key: _plain(value) for key, value in self.arguments.items()}}


def _plain(value: Any) -> Any:
    return value.spelled_out() if isinstance(value, Component) else value


@dataclass(frozen=True)
class Kind:
    """Marks a field of a pydantic model as a component: `Annotated[Component, Kind("loss")]`.

    The model is validated with `context={"registry": ...}`, and `"folder": ...` if paths are relative to one.

    Attributes:
        name: the kind, such as `loss`.
        optional: whether there may be none.
    """

    name: str
    optional: bool = False

    JSON_SCHEMA_KEY = "x-component-kind"

    @staticmethod
    def of(declared: FieldInfo) -> str | None:
        """Return the kind of component that a field holds, or None where it holds something else."""
        return next((mark.name for mark in declared.metadata if isinstance(mark, Kind)), None)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def validate(value: Any, info: core_schema.ValidationInfo[dict[str, Any]]) -> Component | None:
            if value is None and self.optional:
                return None
            registry: Registry = info.context["registry"]
            return registry.component(self.name, value, info.context.get("folder", ""))

        return core_schema.with_info_plain_validator_function(
            validate, serialization=core_schema.plain_serializer_function_ser_schema(_plain)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        mark = {self.JSON_SCHEMA_KEY: self.name}
        return {"anyOf": [mark, {"type": "null"}]} if self.optional else mark


class ComponentType:
    """One class that configs can name.

    Attributes:
        name: as YAML writes it, such as `linear`.
        cls: the class.
    """

    def __init__(self, name: str, cls: type, kinds: Mapping[type, str]):
        self.name, self.cls = name, cls
        self._kinds = kinds

    @cached_property
    def arguments(self) -> type[StrictModel]:
        """A pydantic model of the constructor's parameters."""
        parameters = inspect.signature(self.cls).parameters
        hints = get_type_hints(self.cls.__init__, include_extras=True) if parameters else {}  # type: ignore[misc]
        fields: dict[str, Any] = {
            name: (self._annotation(hints[name]), self._default(parameter.default))
            for name, parameter in parameters.items()
        }
        return create_model(self.cls.__name__, __base__=StrictModel, **fields)

    @cached_property
    def form(self) -> type[StrictModel]:
        """A pydantic model of the component spelled out: `{name: {argument: value}}`."""
        fields: dict[str, Any] = {self.name: (self.arguments, ...)}
        return create_model(self.name, __base__=StrictModel, **fields)

    def _annotation(self, hint: Any) -> Any:
        """A parameter that takes an object of a component's class, or perhaps None, is a component in the config."""
        if hint in self._kinds:
            return Annotated[Component, Kind(self._kinds[hint])]
        classes = [each for each in get_args(hint) if each in self._kinds]
        return Annotated[Component | None, Kind(self._kinds[classes[0]], optional=True)] if classes else hint

    def _default(self, default: Any) -> Any:
        if default is inspect.Parameter.empty:
            return ...
        if not isinstance(default, tuple(self._kinds)):
            return default
        if inspect.signature(type(default)).parameters:
            raise TypeError(f"{self.name}: a default component cannot have arguments, as {default!r} has")
        return Component(_name(type(default)))

    @property
    def first_argument(self) -> str | None:
        """The parameter that `name: value` sets, if there is one."""
        return next(iter(self.arguments.model_fields), None)

    @cached_property
    def argument_meanings(self) -> dict[str, str]:
        """What the `Args:` section of the class's docstring says of each parameter."""
        section = re.search(r"^Args:\n((?:    .*\n?)+)", inspect.getdoc(self.cls) or "", re.MULTILINE)
        entries = re.findall(r"^    (\w+): ((?:.+\n?)(?:        .+\n?)*)", section[1] if section else "", re.MULTILINE)
        return {name: " ".join(meaning.split()) for name, meaning in entries}

    def described_arguments(self) -> dict[str, dict[str, Any]]:
        """Return the arguments by name: what each means, and its default as a config writes it, if it has one."""
        return {
            name: {"meaning": self.argument_meanings.get(name, "")}
            | ({} if declared.is_required() else {"default": _plain(declared.default)})
            for name, declared in self.arguments.model_fields.items()
        }

    @property
    def summary(self) -> str:
        """The first line of the class's docstring."""
        return (inspect.getdoc(self.cls) or "").partition("\n")[0]


class Registry:
    """All component types, by kind and name.

    Attributes:
        types: for each kind, its component types by name.
    """

    def __init__(self) -> None:
        self.types: dict[str, dict[str, ComponentType]] = {}
        self._kinds: dict[type, str] = {}

    def add_package(self, kind: str, base: type, package: ModuleType) -> None:
        """Register the class derived from `base` that each module of `package` defines.

        A class that declares abstract methods of its own is no component, but what others derive from.

        Raises:
            TypeError: a module defines more than one.
        """
        self._kinds[base] = kind
        self.types[kind] = {}
        for module in _modules(package):
            own = [cls for cls in vars(module).values() if inspect.isclass(cls) and cls.__module__ == module.__name__]
            for cls in own:
                if issubclass(cls, base) and not _declares_abstract_methods(cls) and cls is not base:
                    if _name(cls) in self.types[kind]:
                        raise TypeError(f"{module.__name__}: a module can define only one {kind}")
                    self.types[kind][_name(cls)] = ComponentType(_name(cls), cls, self._kinds)

    def component(self, kind: str, value: Any, folder: str | os.PathLike[str] = "") -> Component:
        """Return the component that a spelled-out value (`{name: {argument: value}}`) describes.

        Args:
            kind: what it is, such as `dataset`.
            value: the value.
            folder: what the paths of data files are relative to; by default the current folder.

        Raises:
            PydanticCustomError: there is no such component, its form is wrong, or its arguments contradict each other.
            ValidationError: its arguments are wrong.
        """
        if isinstance(value, Component):
            return value
        if not isinstance(value, dict) or len(value) != 1:
            raise PydanticCustomError("component_form", "not a name, nor a name and its arguments")
        name = next(iter(value))
        if name not in self.types[kind]:
            raise PydanticCustomError("unknown_component", f"no such {kind}", {"kind": kind, "name": str(name)})
        form = self.types[kind][name].form.model_validate(value, context={"registry": self, "folder": folder})
        arguments = getattr(form, name)
        component = Component(name, {key: getattr(arguments, key) for key in type(arguments).model_fields})
        try:
            self.make(kind, component)
        except ValueError as error:
            raise PydanticCustomError("contradiction", "{problem}", {"problem": f"{name}: {error}"}) from error
        return component

    def describe(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return for each kind and name what the component is, and its arguments as a config writes them."""
        return {
            kind: {
                name: {"summary": known.summary, "arguments": known.described_arguments()}
                for name, known in sorted(types.items())
            }
            for kind, types in self.types.items()
        }

    def make(self, kind: str, component: Component) -> Any:
        """Construct the object that a validated component describes."""
        of = self.types[kind][component.name]
        arguments = dict(component.arguments)
        for key, value in arguments.items():
            nested = Kind.of(of.arguments.model_fields[key])
            if nested and value is not None:
                arguments[key] = self.make(nested, value)
        return of.cls(**arguments)


def _name(cls: type) -> str:
    return cls.__module__.rpartition(".")[2]


def _declares_abstract_methods(cls: type) -> bool:
    return any(getattr(member, "__isabstractmethod__", False) for member in vars(cls).values())


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(package.__path__):
        yield import_module(f"{package.__name__}.{found.name}")
