"""What the tests of compiled steps share."""

import pytest

from minidl_cli.compiled.library import Compiler, find_compiler
from minidl_cli.errors import CompilationError


@pytest.fixture(scope="session")
def compiler() -> Compiler:
    """The system's compiler."""
    try:
        return find_compiler()
    except CompilationError as error:
        pytest.skip(str(error))
