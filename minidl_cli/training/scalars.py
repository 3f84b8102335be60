"""The numbers of an optimizer that change from step to step, where a step is recorded or captured once for all.

An operation that was recorded or captured has its numbers built in. So it is given numbers that only stand for others:
wherever one of them turns up, the number of the step at hand belongs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..compiled.dispatch import DispatchMode
from ..compiled.recording import Recording
from ..errors import CompilationError
from .build import Task

aten = torch.ops.aten

# Operations that take a number by value, and what does the same with a number that lies in memory.
_FORMS: Mapping[Any, Callable[..., Tensor]] = {
    aten.add_.Tensor: lambda self, other, alpha: self.addcmul_(other, alpha),
    aten.addcmul_.default: lambda self, tensor1, tensor2, value: self.addcmul_(tensor1 * tensor2, value),
    aten.addcdiv_.default: lambda self, tensor1, tensor2, value: self.addcmul_(tensor1 / tensor2, value),
    aten.lerp_.Scalar: lambda self, end, weight: self.lerp_(end, weight),
}


def stand_ins(task: Task) -> tuple[float, ...]:
    """Return numbers that can stand for the optimizer's scalars, as no other number in a step should be the same.

    Args:
        task: what is trained, its network of one round, its optimizer started.

    Raises:
        CompilationError: the optimizer computes with its scalars, which a recording does not see.
    """
    count = len(task.optimizer.scalars(1.0, 1))
    choices = [
        tuple(constant + place for place in range(count)) for constant in (0.7310259382716049, 0.3190486517283943)
    ]
    seen = [_scalars_of_update(task, numbers) for numbers in choices]
    if seen[0] != seen[1]:
        raise CompilationError("the optimizer computes with the numbers that change from step to step")
    return choices[0]


@torch.inference_mode()
def _scalars_of_update(task: Task, numbers: tuple[float, ...]) -> list[float | str]:
    """Return the numbers that the operations of an update are given, with names for those that are stand-ins."""
    names = {sign * number: f"{sign} {place}" for place, number in enumerate(numbers) for sign in (1, -1)}
    with Recording() as recording:
        task.optimizer.update(task.network.values, task.network.gradients, numbers)
    arguments = [value for operation in recording.operations for value in operation.arguments.values()]
    return [names.get(value, value) for value in arguments if isinstance(value, int | float)]


def check_stand_ins(recording: Recording, numbers: Sequence[float]) -> None:
    """Make sure that what was recorded has none of the stand-ins, which would be taken for the optimizer's scalars.

    Raises:
        CompilationError: it has.
    """
    for operation in recording.operations:
        given = [value for value in operation.arguments.values() if isinstance(value, int | float)]
        if any(abs(number) == stand_in for number in given for stand_in in numbers):
            raise CompilationError(f"{operation.name} is given a number that only stands for others")


class ScalarsInMemory(DispatchMode):  # type: ignore[no-untyped-call]
    """A context in which operations that are given a stand-in, or minus that, take a number from memory instead.

    Args:
        numbers: the stand-ins.
        scalars: the numbers that they stand for, each a tensor of no dimension.

    Raises:
        CompilationError: within, an operation is given a stand-in that cannot take a number from memory.
    """

    def __init__(self, numbers: Sequence[float], scalars: Sequence[Tensor]):
        super().__init__()
        self._scalars = dict(zip(numbers, scalars, strict=True))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        schema = func._schema.arguments
        given = dict(zip((argument.name for argument in schema), args, strict=False)) | (kwargs or {})
        taken = {
            name: self._in_memory(value)
            for name, value in given.items()
            if isinstance(value, float) and abs(value) in self._scalars
        }
        if not taken:
            return func(*args, **(kwargs or {}))
        by_value = any(argument.name in taken and str(argument.type) != "Tensor" for argument in schema)
        if by_value and func not in _FORMS:
            name = func.overloadpacket.__name__.removesuffix("_")
            raise CompilationError(f"{name} takes no number from memory")
        return (_FORMS[func] if by_value else func)(**(given | taken))

    def _in_memory(self, number: float) -> Tensor:
        return self._scalars[number] if number > 0 else -self._scalars[-number]
