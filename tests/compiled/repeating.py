"""Functions of tensors, repeated by compiled C: what the tests of all parts compare with PyTorch."""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from minidl_cli.compiled.library import Compiler
from minidl_cli.compiled.products import Machine
from minidl_cli.compiled.program import ALIGNMENT, Pass, Piece, Program
from minidl_cli.compiled.recording import Recording
from minidl_cli.compiled.translation import C_TYPES, Translator

Function = Callable[..., Tensor]


@dataclass
class Results:
    """What functions gave.

    Attributes:
        compiled: the result of the C for each function.
        torch: the result of PyTorch.
    """

    compiled: dict[str, Tensor]
    torch: dict[str, Tensor]


@torch.inference_mode()
def repeat(
    compiler: Compiler, functions: Mapping[str, Function], tensors: Sequence[Tensor], machine: Machine | None = None
) -> Results:
    """Record functions of the same tensors one after the other, and run them as one compiled program.

    Args:
        compiler: what compiles.
        functions: each takes the tensors, and returns one that does not depend on what the others do to them.
        tensors: of one floating-point type, contiguous. (Let a function transpose them.)
        machine: the processor that the C is written for, by default this one.

    Returns:
        The results, those that are not numbers of that type converted to it.

    Raises:
        CompilationError: the functions cannot be translated.
    """
    dtype = tensors[0].dtype
    given = torch.cat([each.flatten() for each in tensors])
    expected = {name: function(*_like(tensors, given)).to(dtype) for name, function in functions.items()}
    found = torch.full((sum(each.numel() for each in expected.values()),), -123.0, dtype=dtype)
    begun = given.clone(), found.clone()
    recording = Recording()
    state = [recording.view(given), recording.view(found)]
    views = _like(tensors, given)
    targets = dict(zip(expected, _like(list(expected.values()), found), strict=True))
    with recording:
        for name, function in functions.items():
            targets[name].copy_(function(*views))
    translator = Translator(machine or compiler.machine, dtype)
    pieces = [Piece(number, 0, len(each)) for number, each in enumerate(begun)]
    program = Program("repeat", translator, [Pass(recording, 1, [], state, state, [])], pieces)
    _run(compiler, program, translator, begun)
    return Results(dict(zip(expected, _like(list(expected.values()), begun[1]), strict=True)), expected)


def _like(tensors: Sequence[Tensor], flat: Tensor) -> list[Tensor]:
    """Return views of a flat vector, of these tensors' shapes, one after the other."""
    parts = torch.split(flat, [each.numel() for each in tensors])
    return [part.view(each.shape) for part, each in zip(parts, tensors, strict=True)]


def _run(compiler: Compiler, program: Program, translator: Translator, state: Sequence[Tensor]) -> None:
    """Call a program of one pass without samples, which changes the state."""
    source = "\n".join([*translator.functions(), program.source])
    library = compiler.load(source, C_TYPES[translator.dtype])
    # NaN: nothing may depend on what was in the memory, or behind its end.
    memory = torch.full((program.memory // 8 + 2 * ALIGNMENT,), float("nan"), dtype=torch.float64)
    end = program.memory // 8 + ALIGNMENT
    begin = -(-memory.data_ptr() // ALIGNMENT) * ALIGNMENT
    memory[end:] = 456.0
    constants = torch.tensor(translator.constants, dtype=translator.dtype)
    library.repeat(
        ctypes.c_int64(1),
        (ctypes.c_void_p * len(state))(*(each.data_ptr() for each in state)),
        None,
        ctypes.c_int64(1),
        ctypes.c_void_p(constants.data_ptr()),
        None,
        None,
        ctypes.c_void_p(begin),
    )
    assert bool((memory[end:] == 456.0).all()), "wrote behind the end of the memory"


def assert_agree(results: Results, ulps: float) -> None:
    """Each number is PyTorch's up to so many units of the last place of the result's largest (or of 1); NaN is NaN."""
    for name, expected in results.torch.items():
        found = results.compiled[name]
        largest = max(1.0, float(expected.nan_to_num(0, 0, 0).abs().max()))
        bound = ulps * torch.finfo(expected.dtype).eps * largest
        torch.testing.assert_close(
            found, expected, rtol=0, atol=bound, equal_nan=True, msg=lambda text, name=name: f"{name}: {text}"
        )
