"""Compiling C with the system's compiler. Libraries are kept in the user's cache, so each text is compiled once."""

import ctypes
import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from subprocess import PIPE
from tempfile import TemporaryDirectory

from ..errors import CompilationError
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
        command: its path, and options that the user gives it.
        version: its name and version.
        flags: the options that it takes.
        libraries: what to link with.
        target: all that it knows of the processor, the instructions that it may use among it.
        machine: what of that the C is written for.
    """

    command: Sequence[str]
    version: str
    flags: Sequence[str]
    libraries: Sequence[str]
    target: str
    machine: Machine

    @property
    def fingerprint(self) -> str:
        """What the machine code that it writes depends on, besides the text: equal where this is."""
        return _digest(self._said())

    def load(self, text: str, dtype: str) -> ctypes.CDLL:
        """Compile a text, unless that was done before, and load what comes out.

        Args:
            text: C that builds on `prelude.c`.
            dtype: what `number` is in it, `float` or `double`.

        Raises:
            CompilationError: the compiler refuses it, or what comes out cannot be kept or loaded.
        """
        text = "\n".join([f"typedef {dtype} number;", *DTYPES[dtype], PRELUDE, text])
        name = f"{_digest([text, *self._said()])}.so"
        try:
            cache = _cache_folder()
            if cache and _is_whole(cache / name):
                # There are homes that nothing may be executed from.
                with suppress(OSError):
                    return ctypes.CDLL(str(cache / name))
            with TemporaryDirectory(prefix="minidl-") as temporary:
                built = Path(temporary) / name
                self._compile(text, built)
                if cache:
                    _keep(built.read_bytes(), cache / name)
                return ctypes.CDLL(str(built))
        except OSError as error:
            raise CompilationError(f"the compiled library cannot be used: {error}") from error

    def _said(self) -> list[str]:
        """Return all that there is to say of it."""
        return [self.version, *self.command, *self.flags, *self.libraries, self.target, repr(self.machine)]

    def _compile(self, text: str, into: Path) -> None:
        command = [*self.command, *self.flags, "-x", "c", "-", "-o", str(into), *self.libraries]
        # A compiler is several processes, and their files. If this one is asked to stop, none shall stay behind.
        places = os.environ | {"TMPDIR": str(into.parent)}
        with subprocess.Popen(
            command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            text=True,
            errors="replace",
            env=places,
            start_new_session=True,
        ) as process:
            try:
                _, said = process.communicate(text)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        if process.returncode:
            reason = said.strip() or "it said nothing"
            raise CompilationError(f"{self.command[0]} failed: {reason.splitlines()[0]}")


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _keep(content: bytes, path: Path) -> None:
    """Write a library, and the digest of its content behind it, as a whole or, where there is no room, not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content + hashlib.sha256(content).digest())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    """Tell whether a library is there, and as it was written. (The system ends a process that loads half of one.)"""
    content = path.read_bytes() if path.exists() else b""
    size = hashlib.sha256().digest_size
    return hashlib.sha256(content[:-size]).digest() == content[-size:]


def _cache_folder() -> Path | None:
    """Return the folder of compiled libraries; None if there is none that only this user can write to."""
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME", ""))
        folder = (root if root.is_absolute() else Path.home() / ".cache") / "minidl"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.stat()
    except (OSError, RuntimeError):  # RuntimeError: nobody knows of a home.
        return None
    is_private = state.st_uid == os.getuid() and not state.st_mode & 0o022
    return folder if is_private and os.access(folder, os.W_OK) else None


@cache
def find_compiler() -> Compiler:
    """Return the system's C compiler: what the environment variable CC names, or else `cc`.

    Raises:
        CompilationError: there is none that works.
    """
    try:
        words = shlex.split(os.environ.get("CC", "")) or ["cc"]
    except ValueError as error:
        raise CompilationError(f"the environment variable CC cannot be read: {error}") from error
    found = shutil.which(words[0])
    if not found:
        raise CompilationError("there is no C compiler")
    command = [found, *words[1:]]
    for flags, libraries in CHOICES:
        target = _output([*command, *flags, "-dM", "-E", "-x", "c", os.devnull])
        version = re.search(r'__VERSION__ "(.*)"', target)
        told = f"{shlex.join(words)} {version[1] if version else 'of unknown version'}"
        compiler = Compiler(command, told, [*FLAGS, *flags], libraries, target, _machine(target))
        try:
            for dtype in DTYPES:
                compiler.load(PROBE, dtype)
        except CompilationError:
            continue
        return compiler
    raise CompilationError(f"{found} does not work")


def _machine(macros: str) -> Machine:
    if "__AVX512F__" in macros:
        return Machine(vector_bytes=64, registers=32)
    if "__AVX__" in macros:
        return Machine(vector_bytes=32, registers=16)
    return Machine(vector_bytes=16, registers=32 if "__aarch64__" in macros else 16)


def _output(command: Sequence[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
