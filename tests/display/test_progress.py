"""Progress in a pipe and on a terminal."""

import re
import sys
from errno import ENOSPC

import pytest

from minidl_cli.display.progress import show_progress

MEASURED = {"train_loss": 0.25, "test_accuracy": 0.5}


def test_lines_for_every_few_percent(capsys):
    with show_progress(epochs=2000, silent=False) as progress:
        for epoch in range(1, 1001):
            progress.advance("2 rounds", 2, epoch, MEASURED)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert len(lines) == 20
    assert lines[0].startswith("  5%  2 rounds  epoch 50  train loss 0.2500  test acc. 0.5000  ")
    assert lines[-1].startswith("100%  2 rounds  epoch 1000  ")


def test_epochs_without_test_metrics(capsys):
    with show_progress(epochs=1, silent=False) as progress:
        progress.advance("1 round", 1, 1, {"train_loss": 0.25})
    assert "train loss 0.2500  0.0 s" in capsys.readouterr().err


def test_epochs_of_a_regression(capsys):
    with show_progress(epochs=1, silent=False) as progress:
        progress.advance("1 round", 1, 1, {"train_loss": 0.25, "test_mse": 30.125})
    assert "train loss 0.2500  test MSE 30.1250  " in capsys.readouterr().err


def test_silence(capsys):
    with show_progress(epochs=1, silent=True) as progress:
        progress.advance("1 round", 1, 1, MEASURED)
    assert capsys.readouterr() == ("", "")


def test_line_names_the_variant_at_work(capsys):
    with show_progress(epochs=4, silent=False) as progress:
        progress.advance("relu", 2, 1, MEASURED)
        progress.advance("[a] label of 20 signs", 2, 1, MEASURED)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(" 50%  relu  epoch 1  ")
    assert second.startswith("100%  [a] label of 20…  epoch 1  ")


@pytest.mark.parametrize("error", [OSError(ENOSPC, "No space left on device"), BrokenPipeError()], ids=repr)
def test_lines_that_cannot_be_written_stop_nothing(capsys, monkeypatch, error):
    def fail(text: str) -> int:
        raise error

    with show_progress(epochs=2, silent=False) as progress:
        progress.advance("1 round", 1, 1, MEASURED)
        monkeypatch.setattr(sys.stderr, "write", fail)
        progress.advance("1 round", 1, 2, MEASURED)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_lines_hold_no_control_characters(capsys):
    with show_progress(epochs=1, silent=False) as progress:
        progress.advance("a\nb\x1b[31m", 1, 1, MEASURED)
    assert capsys.readouterr().err.startswith("100%  a\\nb\\x1b[31m  epoch 1  ")


@pytest.mark.parametrize("rounds", [1, 10_000])
def test_bar_on_a_terminal_is_one_line(capsys, monkeypatch, rounds):
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "80", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    with show_progress(epochs=1000 * rounds, silent=False) as progress:
        progress.advance("a variant of a long name", 500 * rounds, 500, MEASURED)
        progress._progress.refresh()
    err = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    shown = [line for line in re.split(r"[\r\n]+", err) if "epoch 500" in line]
    assert shown
    assert all(line.startswith("a variant of a …") and "test acc. 0.5000" in line for line in shown)
    assert max(map(len, shown)) <= 80


@pytest.mark.parametrize("terminal", ["", "1"], ids=["pipe", "terminal"])
def test_nothing_to_train(capsys, monkeypatch, terminal):
    monkeypatch.setenv("FORCE_COLOR", terminal)
    with show_progress(epochs=0, silent=False):
        pass
    assert "epoch" not in capsys.readouterr().err
