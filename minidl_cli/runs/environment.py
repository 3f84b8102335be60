"""What a run depended on besides its config."""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import InputError

PACKAGES = ("torch", "numpy", "scipy", "pyyaml", "pydantic", "safetensors", "click", "rich", "matplotlib", "polars")


def environment(minidl_version: str, device: str, workers: int) -> dict[str, Any]:
    """Return what `environment.json` holds: versions, the command line, the git commit, the machine."""
    return {
        "minidl": minidl_version,
        "python": platform.python_version(),
        "packages": dict(_versions()),
        "command": sys.argv,
        "git": _git(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "device": device,
        "workers": workers,
        "threads_per_worker": 1,
        "mkl_cbwr": os.environ.get("MKL_CBWR"),
    }


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}


def identify(files: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Return the size and the SHA-256 of each file, by its path: what tells whether it has changed since.

    Raises:
        InputError: a file cannot be read.
    """
    found = {}
    for path in files:
        try:
            status = path.stat()
            digest = _digest(path, status.st_mtime_ns, status.st_size)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
        found[str(path)] = {"bytes": status.st_size, "sha256": digest}
    return found


@cache
def _digest(path: Path, changed: int, size: int) -> str:
    """Return the SHA-256 of a file: once for every time that it was changed, as many variants may ask for it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def physical_memory() -> int:
    """Return the bytes of memory that the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cpu() -> str:
    """The processor's name, as far as the system tells it."""
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _git() -> dict[str, Any] | None:
    """The commit of the folder that the command was given in, and whether files were changed since."""
    command = ("git", "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    headers = [line for line in done.stdout.splitlines() if line.startswith("# ")]
    commit = headers[0].removeprefix("# branch.oid ")
    return None if commit == "(initial)" else {"commit": commit, "dirty": len(done.stdout.splitlines()) > len(headers)}
