"""The benchmarks of engines and devices, as far as they can be looked at without waiting for them."""

import os
import sys

import pytest

from benchmarks import devices, engines, gpu, measuring
from benchmarks.devices import HUNDRED, TINY, Devices
from benchmarks.measuring import Slope


def test_a_slope_sets_the_start_aside(monkeypatch):
    took = {20: 3.0, 120: 8.0}
    monkeypatch.setattr(measuring, "run_silently", lambda command, caches: None)
    monkeypatch.setattr(measuring, "seconds", lambda work: took[lengths.pop(0)])
    lengths = [20, 120]
    with Slope("minidl", lambda epochs: [str(epochs)], (20, 120), 1000).ready() as measure:
        assert measure() == pytest.approx(50)


@pytest.mark.parametrize("size", [HUNDRED, *TINY])
def test_jax_can_train_both_numbers_of_epochs(size):
    assert all(epochs % size.log_every == 0 for epochs in size.between)


def test_both_sides_are_asked_for_the_same_training(tmp_path):
    sides = Devices("cuda", tmp_path, 1, 1000)
    ours, theirs = " ".join(sides._minidl_disc(HUNDRED, 400)), " ".join(sides._jax(HUNDRED, 400))
    assert "--rounds 100 -s training.epochs=400 --device cuda -s training.log_every=1" in ours
    assert "--rounds 100 --epochs 400 --log-every 1 --device cuda" in theirs


def test_without_a_gpu_there_is_one_line(monkeypatch, capsys):
    for module in (devices, gpu):
        monkeypatch.setattr(module, "find_gpu", lambda: None)
    monkeypatch.setattr(sys, "argv", ["benchmarks.devices"])
    with pytest.raises(SystemExit) as caught:
        devices.main()
    assert caught.value.code == 2
    assert gpu.main() == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_all_that_is_said_is_kept_and_failures_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu, "find_gpu", lambda: "NVIDIA H200")
    commands = [[sys.executable, "-c", f"import sys; print('said {code}'); sys.exit({code})"] for code in (0, 3)]
    for chosen, code in ((commands[:1], 0), (commands, 1)):
        monkeypatch.setattr(gpu, "COMMANDS", chosen)
        assert gpu.main(str(tmp_path / "results.txt")) == code
    kept = (tmp_path / "results.txt").read_text()
    assert kept.startswith("NVIDIA H200\n")
    assert "said 0\n" in kept
    assert "said 3\n" in kept


def test_the_peak_of_a_process():
    assert engines._peak(os.getpid()) > 10**7


def test_an_engine_s_command(tmp_path):
    made = engines.command(tmp_path, ["--engine", "dask", "--workers", "2"], 10)
    assert " ".join(made).endswith("--rounds 100 -s training.epochs=10 --engine dask --workers 2")
