"""What the tests of compiled steps share."""

import os
from collections.abc import Iterator

import pytest

from minidl_cli.compiled.library import Compiler, find_compiler
from minidl_cli.errors import CompilationError


@pytest.fixture(autouse=True, scope="session")
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps compiled libraries in a folder that these tests share, those of other processes, too."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield


@pytest.fixture(scope="session")
def compiler(_cache_of_the_tests: None) -> Compiler:
    """The system's compiler."""
    try:
        return find_compiler()
    except CompilationError as error:
        pytest.skip(str(error))
