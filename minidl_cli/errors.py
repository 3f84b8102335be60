"""The errors that minidl raises on purpose. Each becomes plain lines and an exit code on the command line."""

from collections.abc import Sequence


class MinidlError(Exception):
    """The base of all of minidl's errors: one line or several, each a problem that the user can act on.

    Attributes:
        problems: the lines, each of which says where, what is wrong, and what to do.
        exit_code: what the command line ends with.
    """

    exit_code = 2

    def __init__(self, problems: str | Sequence[str]):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class MinidlWarning(UserWarning):
    """Something that the user should know, and that stops nothing."""


class InputError(MinidlError):
    """A config, an option, a data file or a run folder is wrong. Nothing was done."""


class GraphError(MinidlError):
    """A layer failed, or does not fit what comes before it.

    Attributes:
        place: the path of the config's key that the error belongs to, such as `("model", 2)`.
    """

    exit_code = 1

    def __init__(self, problem: str, place: tuple[str | int, ...] = ()):
        super().__init__(problem)
        self.place = place


class TrainingError(MinidlError):
    """The work ran and failed: every round diverged, or the disk is full."""

    exit_code = 1


class CompilationError(Exception):
    """A step cannot be compiled; the message says why. Nothing is lost: PyTorch's operations do the same."""


def is_lack_of_memory(error: BaseException) -> bool:
    """Tell whether Python or PyTorch, whose errors need not have a class of their own, could not allocate memory."""
    said = ("can't allocate memory", "CUDA out of memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, MemoryError) or any(words in str(error) for words in said)
