"""What a run depended on besides its config."""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import InputError

PACKAGES = ("torch", "numpy", "scipy", "pyyaml", "pydantic", "safetensors", "click", "rich", "matplotlib", "polars")


def environment(minidl_version: str, device: str, workers: int) -> dict[str, Any]:
    """Return what `environment.json` holds: versions, the command line, the git commit, the machine."""
    found: dict[str, Any] = {
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
    return found if device == "cpu" else found | {"gpu": _gpu(device)}


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


@cache
def physical_memory() -> int:
    """Return the bytes of memory that this process can have: the machine's, or the limit of its container."""
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_container_limits(Path("/"))])


def _container_limits(root: Path) -> Iterator[int]:
    """Yield the limits on memory of the control groups that this process is in, and of all around them.

    A container may not see the groups around its own, or see its own as the root: what is not there is left out.
    Source: Linux kernel documentation, admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1/memory.rst.

    Args:
        root: where `/proc` and `/sys` are.
    """
    for line in _lines(root / "proc/self/cgroup"):
        _, _, group = line.partition(":")
        controllers, _, path = group.partition(":")
        if not controllers:
            mount, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            mount, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        inner = PurePosixPath(path.removeprefix("/"))
        for each in (inner, *inner.parents):
            # The text is "max" where there is no limit.
            yield from (int(text) for text in _lines(mount / each / name) if text.isdecimal())


def _cpu() -> str:
    """The processor's name, as far as the system tells it."""
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpu(device: str) -> dict[str, Any] | None:
    """What there is to say of a GPU, given the name of its device; None if only workers elsewhere have it."""
    import torch

    index = torch.device(device).index or 0
    if index >= torch.cuda.device_count():
        return None
    found = torch.cuda.get_device_properties(index)
    # The kernel's module says: NVRM version: NVIDIA UNIX x86_64 Kernel Module  <version>  <date>
    drivers = [line.partition(":")[2].strip() for line in _lines(Path("/proc/driver/nvidia/version"))[:1]]
    return {
        "name": found.name,
        "memory": found.total_memory,
        "capability": f"{found.major}.{found.minor}",
        "cuda": torch.version.cuda,
        "driver": next(iter(drivers), None),
    }


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
