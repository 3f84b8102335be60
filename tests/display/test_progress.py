"""Progress in a pipe and on a terminal."""

import pytest

from minidl_cli.display.progress import show_progress


def test_lines_for_every_few_percent(capsys):
    with show_progress(rounds=2, epochs=1000, silent=False) as progress:
        for epoch in range(1, 1001):
            progress.advance(2, epoch, 0.25, 0.5)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert len(lines) == 20
    assert lines[0].startswith("  5%  epoch 50  train loss 0.2500  test acc. 0.5000  ")
    assert lines[-1].startswith("100%  epoch 1000")


def test_epochs_without_test_metrics(capsys):
    with show_progress(rounds=1, epochs=1, silent=False) as progress:
        progress.advance(1, 1, 0.25, None)
    assert "acc." not in capsys.readouterr().err


def test_silence(capsys):
    with show_progress(rounds=1, epochs=1, silent=True) as progress:
        progress.advance(1, 1, 0.25, 0.5)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("rounds", [1, 10_000])
def test_bar_on_a_terminal_is_one_line(capsys, monkeypatch, rounds):
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "80", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    with show_progress(rounds=rounds, epochs=1000, silent=False) as progress:
        progress.advance(500 * rounds, 500, 0.25, 0.5)
        progress._progress.refresh()
    err = capsys.readouterr().err
    assert "epoch 500/1000" in err
