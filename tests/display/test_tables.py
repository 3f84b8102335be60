"""Tables in a terminal of 80 columns, and in a pipe."""

import pytest

from minidl_cli.display.tables import (
    brief,
    missing_rounds,
    print_final,
    print_rounds,
    print_runs,
    print_table,
    print_targets,
)
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
        "variants": None,
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


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.0, 0.0], "0.000±0.000"),
        ([0.02, 0.04], "0.030±0.014"),
        ([2990.0, 3010.0], "3000.0±14.1"),
        ([2e6, 4e6], "3.0e+06±1.4e+06"),
        ([2e-5, 4e-5], "3.0e-05±1.4e-05"),
    ],
)
def test_runs_of_both_kinds_in_one_list(terminal, capsys, values, shown):
    """Errors have the digits that their scale asks for, and numbers have no accuracy."""
    made = {"made": "2026-01-02T03:04:05", "status": "finished", "problem": None, "variants": None}
    rounds = {"rounds": {"finished": 2, "planned": 2}}
    accuracy, errors = (summarize(each, higher_is_better=False) for each in ([0.9, 0.95], values))
    classes = {"id": "a-1", "config": "a", "final": {"test_accuracy": accuracy, "test_mse": errors}}
    numbers = {"id": "b-1", "config": "b", "final": {"test_accuracy": {}, "test_mse": errors}}
    print_runs([classes | made | rounds, numbers | made | rounds])
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == ["run", "config", "rounds", "accuracy", "MSE", "made"]
    assert first.split() == ["a-1", "a", "2/2", "0.925±0.035", shown, "01-02", "03:04"]
    assert second.split() == ["b-1", "b", "2/2", shown, "01-02", "03:04"]
    assert max(map(len, (first, second))) <= 80


def test_pipe_has_no_width_and_cells_are_no_markup(capsys):
    print_table(["a"], [["[bold]" + "x" * 300 + "\x1b"]])
    assert capsys.readouterr().out.splitlines()[1].strip() == "[bold]" + "x" * 300 + "\\x1b"


def test_sweep_of_variants_says_how_many(capsys):
    listed = {"id": "a-1", "config": "a", "variants": 4, "rounds": {"finished": 8, "planned": 8}, "final": {}}
    print_runs([listed | {"made": "2026-01-02T03:04:05", "status": "finished", "problem": None}])
    assert capsys.readouterr().out.splitlines()[1].split()[:5] == ["a-1", "a", "(4", "variants)", "8/8"]


def test_targets(capsys):
    reached = {"target": 0.95, "successes": 1, "n": 4, "rate": 0.25, "ci95": [0.0456, 0.6994]}
    for median in ({"median": 7.5}, {}):
        epochs = {"target": 0.95, "reached": 3, "n": 4} | median
        print_targets({"test_accuracy": {"success": reached, "epochs": epochs}})
    first, second = capsys.readouterr().out.split("\n\n")
    begin = "test accuracy 0.95: 1 of 4 rounds end there (95% interval 0.05–0.70), 3 got there once"
    assert first == f"\n{begin}; half of all got there by epoch 7.5"
    assert second == f"{begin}\n"


def test_rounds_without_a_result_are_named(capsys):
    rounds = {"planned": 9, "finished": 3, "diverged_seeds": [7], "failed_seeds": [1, 2, 3, 5, 8]}
    assert missing_rounds(rounds) == ["1 round diverged: seed 7", "5 rounds failed: seeds 1, 2, 3, 5, 8"]
    failures = [
        {"seeds": [1, 2], "reason": "killed by SIGKILL"},
        {"seeds": [3], "reason": "out of memory"},
        {"seeds": [5], "reason": "killed by SIGKILL"},
    ]
    print_rounds(rounds | {"failures": failures})
    assert capsys.readouterr().out.splitlines() == [
        "",
        "3 of 9 rounds finished",
        "1 round diverged: seed 7",
        "3 rounds failed: seeds 1, 2, 5: killed by SIGKILL",
        "1 round failed: seed 3: out of memory",
        "1 round failed: seed 8",
    ]


@pytest.mark.parametrize("rounds", [{}, {"diverged_seeds": [], "failed_seeds": []}], ids=["not told", "none"])
def test_where_no_round_is_missing_nothing_is_said(rounds):
    """The counts of a sweep of variants name no seeds."""
    assert missing_rounds(rounds) == []


def test_of_many_rounds_without_a_result_the_first_are_named(capsys):
    failures = [{"seeds": list(range(200)), "reason": "their worker was killed by SIGKILL, three times"}]
    rounds = {"planned": 200, "finished": 0, "failed_seeds": list(range(200)), "failures": failures}
    assert missing_rounds(rounds, " of relu")[0].startswith(
        "200 rounds failed: seeds 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 190 more of relu: their worker "
    )
    print_rounds(rounds)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "  worker was killed by SIGKILL, three times"


def test_plain_data_is_shown_as_yaml():
    value = {"a": [None, True, 0.1, 1e-5, "x"], "b": {}, "c": (1, 2)}
    assert brief(value) == "{a: [null, true, 0.1, 1e-05, x], b: {}, c: [1, 2]}"


def test_large_numbers_fit_a_terminal_too(terminal, capsys):
    """What tells least is left out, so that no number is broken in two."""
    large = summarize([100_960.0, 523_511.5, 987_250.25], higher_is_better=False)
    print_final({"train_mse": large, "test_mse": large})
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split()[:3] == ["mean", "std", "95%"]
    assert all(len(row) <= 80 and "987,250" in row for row in rows)
