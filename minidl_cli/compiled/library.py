"""Compiling C with the system's compiler. Libraries are kept in the user's cache, so each text is compiled once."""

import ctypes
import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import NotCompiled
from .products import Machine

PRELUDE = Path(__file__).with_name("prelude.c").read_text()
# What `number` may be, and how the C library names its functions for it.
DTYPES = {"float": ["#define FUNCTION(name) name##f"], "double": ["#define FUNCTION(name) name"]}
# Asks for the vector form of every function, where there is one.
PROBE = """
void probe(number *x, int n)
{
    #pragma omp simd
    for (int i = 0; i < n; i++)
        x[i] = FUNCTION(exp)(x[i]) + FUNCTION(expm1)(x[i]) + FUNCTION(log)(x[i]) + FUNCTION(log1p)(x[i])
            + FUNCTION(erf)(x[i]) + FUNCTION(tanh)(x[i]);
}
"""
FLAGS = [
    *("-O2", "-ftree-vectorize", "-fopenmp-simd", "-shared", "-fPIC"),
    # No code looks at errno, at traps, or at one place in memory by two types that differ in what they mean.
    *("-fno-math-errno", "-fno-trapping-math", "-fno-strict-aliasing"),
]
# From the fastest to what every compiler takes. The vector forms of exp and others are those of glibc.
CHOICES = [
    (["-march=native", "-mprefer-vector-width=512", "-DVECTOR_MATH"], ["-lmvec", "-lm"]),
    (["-march=native"], ["-lm"]),
    ([], ["-lm"]),
]


@dataclass(frozen=True)
class Compiler:
    """A C compiler.

    Attributes:
        command: its path.
        version: the first line of what it says of itself.
        flags: the options that it takes.
        libraries: what to link with.
        machine: what it knows of the processor.
    """

    command: str
    version: str
    flags: Sequence[str]
    libraries: Sequence[str]
    machine: Machine

    def load(self, text: str, dtype: str) -> ctypes.CDLL:
        """Compile a text, unless that was done before, and load what comes out.

        Args:
            text: C that builds on `prelude.c`.
            dtype: what `number` is in it, `float` or `double`.

        Raises:
            NotCompiled: the compiler refuses it.
        """
        text = "\n".join([f"typedef {dtype} number;", *DTYPES[dtype], PRELUDE, text])
        told = "\n".join([text, self.version, *self.flags, *self.libraries, repr(self.machine)])
        name = f"{hashlib.sha256(told.encode()).hexdigest()}.so"
        with TemporaryDirectory(prefix="minidl-") as temporary:
            folder = _cache_folder() or Path(temporary)
            path = folder / name
            if not path.exists():
                built = Path(temporary) / name
                self._compile(text, built)
                shutil.copy(built, folder / f"{name}.{os.getpid()}")
                (folder / f"{name}.{os.getpid()}").replace(path)
            return ctypes.CDLL(str(path))

    def _compile(self, text: str, into: Path) -> None:
        command = [self.command, *self.flags, "-x", "c", "-", "-o", str(into), *self.libraries]
        done = subprocess.run(command, input=text, capture_output=True, text=True)
        if done.returncode:
            raise NotCompiled(f"{self.command} failed: {(done.stderr.strip() or 'it said nothing').splitlines()[0]}")


def _cache_folder() -> Path | None:
    """Return the folder of compiled libraries; None if there is none that only this user can write to."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root) / "minidl"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.stat()
    except OSError:
        return None
    is_private = state.st_uid == os.getuid() and not state.st_mode & 0o022
    return folder if is_private and os.access(folder, os.W_OK) else None


@cache
def find_compiler() -> Compiler:
    """Return the system's C compiler: what the environment variable CC names, or else `cc`.

    Raises:
        NotCompiled: there is none that works.
    """
    command = shutil.which(os.environ.get("CC", "cc"))
    if not command:
        raise NotCompiled("there is no C compiler")
    version = _output([command, "--version"]).splitlines()[0]
    for flags, libraries in CHOICES:
        compiler = Compiler(command, version, [*FLAGS, *flags], libraries, _machine(command, flags))
        try:
            for dtype in DTYPES:
                compiler.load(PROBE, dtype)
        except (NotCompiled, OSError):
            continue
        return compiler
    raise NotCompiled(f"{command} does not work")


def _machine(command: str, flags: Sequence[str]) -> Machine:
    macros = _output([command, *flags, "-dM", "-E", "-x", "c", os.devnull])
    if "__AVX512F__" in macros:
        return Machine(vector_bytes=64, registers=32)
    if "__AVX__" in macros:
        return Machine(vector_bytes=32, registers=16)
    return Machine(vector_bytes=16, registers=32 if "__aarch64__" in macros else 16)


def _output(command: Sequence[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
