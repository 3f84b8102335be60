"""Reports in a terminal of 80 columns, and in a pipe."""

import numpy as np
import pytest

from minidl_cli.display.report_tables import MOST_ROWS, print_report
from minidl_cli.statistics import summarize

SCORES = ("precision", "recall", "f1")


@pytest.fixture
def terminal(monkeypatch):
    """Makes rich believe that it writes to a terminal of 80 columns without colours."""
    for name, value in {"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)


def over_rounds(names, values):
    return {name: summarize(values, higher_is_better=True) for name in names}


def of_classes(labels, values=(0.9871, 0.0056, 0.5), samples=100.0):
    """A report as `training.report` makes it, of as many rounds as there are values."""
    n = len(labels)
    confusion = {"mean": (np.eye(n) * samples + np.arange(n)).tolist()}
    return {
        "metrics": over_rounds(["balanced_accuracy", *SCORES, "roc_auc"], values),
        "classes": {label: {"samples": int(samples)} | over_rounds(SCORES, values) for label in labels},
        "confusion": confusion | ({"std": np.ones((n, n)).tolist()} if len(values) > 1 else {}),
    }


def blocks(printed):
    return [block.splitlines() for block in printed.strip("\n").split("\n\n")]


def test_one_round_is_printed_as_values(capsys):
    print_report("test", of_classes(["no", "yes"], [0.75]))
    metrics, classes, confusion = blocks(capsys.readouterr().out)
    assert metrics[0].split() == ["balanced", "accuracy", "precision", "recall", "F1", "ROC", "AUC"]
    assert metrics[1].split() == ["test,", "macro", *["0.7500"] * 5]
    assert [line.split() for line in classes] == [
        ["class", "samples", "precision", "recall", "F1"],
        ["no", "100", "0.7500", "0.7500", "0.7500"],
        ["yes", "100", "0.7500", "0.7500", "0.7500"],
    ]
    assert [line.split() for line in confusion] == [
        ["true", "\\", "predicted", "no", "yes"],
        ["no", "100", "1"],
        ["yes", "0", "101"],
    ]


def test_several_rounds_are_printed_with_their_spread(capsys):
    print_report("validation", of_classes(["no", "yes"], [0.5, 1.0]))
    metrics, classes, confusion = blocks(capsys.readouterr().out)
    assert metrics[0].split() == ["validation,", "macro", "mean", "std", "95%", "interval", "median", "min", "max"]
    assert metrics[1].split() == [
        "balanced", "accuracy", "0.7500", "0.3536", "-2.4266–3.9266", "0.7500", "0.5000", "1.0000"
    ]  # fmt: skip
    assert classes[1].split() == ["no", "100", *["0.7500", "±", "0.3536"] * 3]
    assert confusion[1].split() == ["no", "100.0", "1.0"]


@pytest.mark.parametrize("values", [[0.9871, 0.0056, 0.5], [0.5]], ids=["rounds", "round"])
@pytest.mark.parametrize(
    "labels",
    [
        ["no", "yes"],
        [f"a long label, number {index}" for index in range(8)],
        [f"{index} {'日本' * 20}" for index in range(3)],
    ],
)
def test_reports_of_classes_fit_a_terminal(terminal, capsys, labels, values):
    print_report("test", of_classes(labels, values, samples=12345.0))
    lines = capsys.readouterr().out.splitlines()
    expected = 2 if len(values) == 1 else 6
    assert len(lines) == 1 + expected + 2 * (2 + len(labels))
    assert max(map(len, lines)) <= 80
    assert all(line.rstrip() for line in lines[1:expected])


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1, 1e2, 1e6])
def test_reports_of_numbers_fit_a_terminal(terminal, capsys, scale):
    values = [value * scale for value in (1234.5678, 987.6543, 1100.1)]
    each = over_rounds(["rmse", "mae", "r2"], values)
    print_report("test", {"metrics": each, "targets": {"price in €": each, "a long name of a column": each}})
    metrics, targets = blocks(capsys.readouterr().out)
    assert metrics[0].startswith("test, mean ")
    assert [line.split()[0] for line in metrics[1:]] == ["RMSE", "MAE", "R²"]
    assert targets[0].split() == ["target", "RMSE", "MAE", "R²"]
    assert len(targets) == 3
    assert max(map(len, metrics + targets)) <= 80


def test_a_single_target_has_no_table_of_its_own(capsys):
    print_report("test", {"metrics": over_rounds(["rmse", "mae", "r2"], [0.5])})
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        [],
        ["RMSE", "MAE", "R²"],
        ["test", "0.5000", "0.5000", "0.5000"],
    ]


@pytest.mark.parametrize(("classes", "tables"), [(10, 3), (11, 2)])
def test_confusion_matrices_of_many_classes_are_left_out(capsys, classes, tables):
    print_report("test", of_classes([f"c{index}" for index in range(classes)], samples=10.0))
    assert len(blocks(capsys.readouterr().out)) == tables


def test_confusion_matrices_of_numbers_too_wide_are_left_out(capsys):
    print_report("test", of_classes(list("abcdefgh"), samples=1e7))
    assert len(blocks(capsys.readouterr().out)) == 2


def test_most_classes_have_a_row_and_the_others_are_counted(capsys):
    report = of_classes([f"c{index}" for index in range(MOST_ROWS + 1200)])
    del report["confusion"]
    print_report("test", report)
    _, classes = blocks(capsys.readouterr().out)
    assert len(classes) == 1 + MOST_ROWS + 1
    assert classes[-1] == "and 1,200 more classes"


def test_labels_are_no_markup_and_no_commands(capsys):
    print_report("test", of_classes(["[/x]", "\x1b[31m", "line\nbreak"]))
    _, classes, confusion = blocks(capsys.readouterr().out)
    for table in (classes, confusion):
        assert [line.split()[0] for line in table[1:]] == ["[/x]", "\\x1b[31m", "line\\nbreak"]


def test_what_does_not_exist_is_a_dash(capsys):
    report = of_classes(["no", "yes"], [0.75])
    report["metrics"]["roc_auc"] = {"n": 0}
    report["classes"]["yes"] = {"samples": report["classes"]["yes"]["samples"]}
    print_report("test", report)
    metrics, classes, _ = blocks(capsys.readouterr().out)
    assert metrics[1].split()[-1] == "-"
    assert classes[2].split() == ["yes", "100", "-", "-", "-"]


def test_numbers_of_samples_that_differ_are_means(capsys):
    report = of_classes(["no", "yes"])
    report["classes"]["yes"]["samples"] = summarize([99, 100, 100], higher_is_better=True)
    print_report("test", report)
    _, classes, _ = blocks(capsys.readouterr().out)
    assert [line.split()[1] for line in classes[1:]] == ["100", "99.7"]


def test_a_report_of_no_finished_rounds_is_nothing(capsys):
    print_report("test", {})
    assert capsys.readouterr().out == ""
