"""What a whole command loads, and when it searches for garbage."""

import gc
import subprocess
import sys

import pytest

# Slow to import, and no part of training.
SLOW = {"matplotlib.pyplot", "scipy.stats", "sympy", "torch._dynamo", "torch._inductor", "torch.onnx", "polars"}
SLOW |= {"dask", "distributed", "cryptography"}


def loaded_modules(*arguments: str) -> set[str]:
    """The modules that a command loads, by their full names."""
    command = [sys.executable, "-X", "importtime", "-m", "minidl_cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def test_training_loads_only_what_it_uses(small_file, tmp_path):
    loaded = loaded_modules("train", str(small_file), "--runs-dir", str(tmp_path / "runs"), "-s", "training.epochs=1")
    assert {"torch", "matplotlib.figure", "minidl_cli.display.figures"} <= loaded
    assert loaded & (SLOW | {"scipy"}) == set()


def test_a_sweep_loads_only_what_it_uses(small_file, tmp_path):
    options = ("--rounds", "2", "--workers", "1", "-s", "training.epochs=1")
    loaded = loaded_modules("sweep", str(small_file), "--runs-dir", str(tmp_path / "runs"), *options)
    assert "scipy.special" in loaded
    assert loaded & SLOW == set()


@pytest.fixture
def watched(monkeypatch):
    """Whether garbage was searched for while the config was loaded, and while a round was trained."""
    from minidl_cli.training import build, trainer

    found = {}

    def watch(module, name):
        function = getattr(module, name)

        def watching(*arguments, **named):
            found[name] = gc.isenabled()
            return function(*arguments, **named)

        monkeypatch.setattr(module, name, watching)

    watch(build, "load_config")
    watch(trainer, "epoch_order")
    return found


def test_garbage_is_searched_for_once_training_starts(minidl, small_file, watched):
    assert minidl("train", small_file, "-q").code == 0
    assert watched == {"load_config": False, "epoch_order": True}
    assert gc.isenabled()


def test_garbage_is_searched_for_after_an_error(minidl):
    assert minidl("train", "nowhere.yaml").code == 2
    assert gc.isenabled()
