"""Tables in a terminal of 80 columns, and in a pipe."""

import pytest

from minidl_cli.display.tables import print_final, print_runs, print_table
from minidl_cli.statistics import summarize


@pytest.fixture
def terminal(monkeypatch):
    """Makes rich believe that it writes to a terminal of 80 columns without colours."""
    for name, value in {"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)


def summaries(values):
    names = ["train_loss", "train_mse", "train_accuracy", "test_loss", "test_mse", "test_accuracy"]
    return {name: summarize(values, higher_is_better=False) for name in names}


def test_spread_fits_a_terminal(terminal, capsys):
    print_final(summaries([0.9871, 0.0056, 0.5]))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert max(map(len, lines)) <= 80


def test_loss_is_left_out_where_it_is_the_squared_error_again(capsys):
    final = summaries([0.5])
    print_final(final)
    assert "loss" not in capsys.readouterr().out
    print_final(final | {"test_loss": summarize([0.7], higher_is_better=False)})
    assert "0.7000" in capsys.readouterr().out


def test_runs_fit_a_terminal(terminal, capsys):
    run = {
        "id": "disc-20260102-030405-6f7e",
        "config": "disc",
        "rounds": {"finished": 100, "planned": 100},
        "final": {name: summarize([0.9, 0.95], higher_is_better=True) for name in ("test_accuracy", "test_mse")},
        "made": "2026-01-02T03:04:05",
        "status": "finished",
        "problem": None,
    }
    unfinished = run | {"status": "unfinished", "rounds": None, "final": {}}
    print_runs([run, unfinished])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "disc-20260102-030405-6f7e disc" in lines[1]
    assert "0.925±0.035" in lines[1]
    assert "01-02 03:04" in lines[1]
    assert max(map(len, lines)) <= 80


def test_pipe_has_no_width_and_cells_are_no_markup(capsys):
    print_table(["a"], [["[bold]" + "x" * 300 + "\x1b"]])
    assert capsys.readouterr().out.splitlines()[1].strip() == "[bold]" + "x" * 300 + "\\x1b"
