"""Files that tell by themselves whether they are whole: their last bytes are the SHA-256 of all others."""

import hashlib
from pathlib import Path

from ..atomic import write_atomically

SEAL_BYTES = hashlib.sha256().digest_size


def write_sealed(path: Path, content: bytes) -> None:
    """Write a file atomically, with its seal.

    Raises:
        OSError: it cannot be written; what was at `path` is still there.
    """
    write_atomically(path, content, hashlib.sha256(content).digest())


def unseal(sealed: bytes) -> bytes:
    """Return what a file's seal is for, given all that the file holds.

    Raises:
        ValueError: it is not what was written.
    """
    content, seal = sealed[:-SEAL_BYTES], sealed[-SEAL_BYTES:]
    if hashlib.sha256(content).digest() != seal:
        raise ValueError("its checksum is another")
    return content
