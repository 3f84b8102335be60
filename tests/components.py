"""Components as the batteries test them: all that the registry knows, with arguments filled in from their schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args, get_origin

from minidl_cli.training.build import registry

Arguments = dict[str, Any]
Extra = Mapping[str, Sequence[Arguments]]


@dataclass(frozen=True)
class Case:
    """A component with arguments to test it with."""

    kind: str
    name: str
    arguments: Arguments

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{key}={value}" for key, value in self.arguments.items())])

    def make(self) -> Any:
        return registry().make(self.kind, registry().component(self.kind, {self.name: self.arguments}))


AnyCase = TypeVar("AnyCase", bound=Case)


def cases(kind: str, extra: Extra, case: type[AnyCase]) -> list[AnyCase]:
    """Return the cases of all components of a kind.

    Each comes with its required arguments, where they are numbers, with every value of every argument that has a
    list of choices, and with what `extra` has for it. A new component is tested without another line here.
    """
    return [case(kind, name, each) for name in registry().types[kind] for each in _argument_sets(kind, name, extra)]


def places(rounds: int) -> list[int]:
    """Return the rounds of a stack that are to be the same alone: of a large stack every seventh, and the last.

    Seven shares no factor with the width of a vector, so that every place in one comes up.
    """
    return sorted({*range(0, rounds, 7 if rounds > 10 else 1), rounds - 1})


def _argument_sets(kind: str, name: str, extra: Extra) -> list[Arguments]:
    declared = registry().types[kind][name].arguments.model_fields
    required = {key: {int: 7, float: 0.3}.get(info.annotation) for key, info in declared.items() if info.is_required()}
    found: list[Arguments] = []
    if None not in required.values():
        choices = [
            {**required, key: choice}
            for key, info in declared.items()
            if get_origin(info.annotation) is Literal
            for choice in get_args(info.annotation)
        ]
        found += choices or [required]
    found += extra.get(name, [])
    assert found, f"{name} needs arguments to be tested with"
    return found
