"""What tests of faults share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.processes import Processes


@pytest.fixture
def processes(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Starts commands in the test's folder, of which none outlives the test."""
    started = Processes(tmp_path, tmp_path_factory.mktemp("printed"))
    yield started
    started.kill_all()
