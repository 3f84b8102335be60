import pytest

from minidl_cli.training.device import has_cuda


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") and not has_cuda():
        pytest.skip("needs a GPU")
