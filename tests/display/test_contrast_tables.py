"""Runs side by side in a terminal, in a pipe, and as Markdown."""

import pytest

from minidl_cli.display.contrast_tables import contrast_markdown, print_contrast, print_differences
from minidl_cli.statistics import epochs_to_target, success, summarize


def variant(label, accuracies, missing=0, targets=None):
    final = {}
    if accuracies:
        errors = [1 - each for each in accuracies]
        final = {
            "train_mse": summarize(errors, missing, higher_is_better=False),
            "test_accuracy": summarize(accuracies, missing, higher_is_better=True),
        }
    rounds = {"planned": len(accuracies) + missing, "finished": len(accuracies), "diverged_seeds": list(range(missing))}
    described = {"label": label, "rounds": rounds, "final": final, "seconds": 83.2}
    return described | ({"targets": targets} if targets else {})


def said(metric, conclusion):
    return {"metric": metric, "conclusion": conclusion}


RELU = variant("relu", [0.95, 0.96, 0.94, 0.95])
TANH = variant("tanh|<b>", [0.91, 0.9, 0.93], missing=1)
NONE = variant("sigmoid", [], missing=2)
SAID = [said("test_accuracy", "relu and tanh differ in accuracy"), said("test_mse", "relu and tanh differ in MSE")]
DOCUMENT = {
    "headline": "test_accuracy",
    "variants": [RELU, TANH],
    "incomparable": [],
    "comparisons": SAID,
    "differences": {"model": {"relu": ["relu"], "tanh|<b>": ["tanh"]}, "x": {"relu": None, "tanh|<b>": True}},
}


def test_tables_in_the_order_given(capsys):
    print_contrast(DOCUMENT)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1][:3] == ["relu", "4/4", "0.0500"]
    assert lines[1][-2:] == ["1:23", "min"]
    assert lines[2][:2] == ["tanh|<b>", "3/4"]
    assert ["-", "relu", "and", "tanh", "differ", "in", "MSE"] in lines
    assert lines[-1] == ["1", "round", "diverged:", "seed", "0", "of", "tanh|<b>"]


def test_of_three_runs_only_accuracy_is_talked_about(capsys):
    print_contrast(DOCUMENT | {"variants": [RELU, TANH, NONE]})
    out = capsys.readouterr().out
    assert "differ in accuracy" in out
    assert "differ in MSE" not in out


def test_what_does_not_exist_is_a_dash(capsys):
    print_contrast(DOCUMENT | {"variants": [NONE], "comparisons": []})
    out = capsys.readouterr().out
    assert "nan" not in out
    assert out.splitlines()[1].split()[:6] == ["sigmoid", "0/2", "-", "-", "-", "-"]
    assert "\n2 rounds diverged: seeds 0, 1 of sigmoid\n" in out


def test_rounds_that_failed_are_named_with_the_reason(capsys):
    failures = {"failed_seeds": [4, 5], "failures": [{"seeds": [4, 5], "reason": "a worker|<b> died\x1b"}]}
    document = DOCUMENT | {"variants": [RELU, TANH | {"rounds": TANH["rounds"] | failures}], "comparisons": []}
    print_contrast(document)
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "1 round diverged: seed 0 of tanh|<b>",
        "2 rounds failed: seeds 4, 5 of tanh|<b>: a worker|<b> died\\x1b",
    ]
    text = contrast_markdown(document)
    assert "\n- 2 rounds failed: seeds 4, 5 of tanh\\|&lt;b>: a worker\\|&lt;b> died\\\\x1b\n" in text


def test_targets(capsys):
    reached = success([0.95, 0.9], 2, 0.92, higher_is_better=True)
    epochs = epochs_to_target([[0.5, 0.95], [0.9, 0.9]], [10, 20], 0.92, 2, higher_is_better=True)
    with_target = variant("a", [0.95, 0.9], 2, {"test_accuracy": {"success": reached, "epochs": epochs}})
    print_contrast(DOCUMENT | {"variants": [with_target, RELU], "comparisons": []})
    heading, row = (line for line in capsys.readouterr().out.splitlines() if "end there" in line or "1 of 4" in line)
    assert heading.split("  ")[-1].strip() == "first at epoch (quartiles)"
    assert row.split()[:5] == ["a", "0.92", "1", "of", "4"]
    assert row.split()[-2:] == ["never", "(never–never)"]


def test_of_numbers_the_squared_error_is_the_headline(capsys):
    errors = summarize([0.25, 0.5], higher_is_better=False)
    surface = variant("surface", []) | {"final": {"train_mse": errors, "test_mse": errors}}
    of_errors = [said("test_mse", "they differ in MSE"), said("test_mae", "they differ in MAE")]
    print_contrast(DOCUMENT | {"headline": "test_mse", "variants": [surface] * 3, "comparisons": of_errors})
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["rounds", "train", "MSE", "CV", "test", "MSE", "CV", "time"]
    assert out.splitlines()[5].split()[:3] == ["test", "MSE", "median"]
    assert "accuracy" not in out
    assert "differ in MSE" in out
    assert "differ in MAE" not in out


def test_that_there_is_nothing_to_compare_is_said_of_any_number_of_runs(capsys):
    document = DOCUMENT | {"incomparable": [{"conclusion": "there is nothing to compare: a|b"}]}
    for variants in ([RELU, TANH], [RELU, TANH, NONE]):
        print_contrast(document | {"variants": variants})
        assert "\n- there is nothing to compare: a|b\n" in capsys.readouterr().out
    assert "\n- there is nothing to compare: a\\|b\n" in contrast_markdown(document)


def test_every_line_fits_a_terminal(monkeypatch, capsys):
    for name, value in {"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    rounds = {"planned": 50, "finished": 0, "failed_seeds": list(range(10**5, 10**5 + 50))}
    sentence = said("test_accuracy", "a long sentence " * 20)
    print_contrast(DOCUMENT | {"comparisons": [sentence], "variants": [RELU, NONE | {"rounds": rounds}]})
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_markdown_is_one_table_after_the_other():
    text = contrast_markdown(DOCUMENT | {"variants": [RELU, TANH, NONE]})
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert [len(table) for table in tables] == [5, 5]
    for table in tables:
        cells = [line.replace("\\|", "").count("|") for line in table]
        assert len(set(cells)) == 1
    # Every sentence is there, and nothing is taken for a tag or a new cell.
    assert "- relu and tanh differ in MSE\n" in text
    assert "- 2 rounds diverged: seeds 0, 1 of sigmoid\n" in text
    assert "| tanh\\|&lt;b> |" in text


@pytest.mark.parametrize("label", ["\x1b[31m", "[bold]", "\u202e"])
def test_labels_are_shown_as_text(label, capsys):
    document = DOCUMENT | {"variants": [variant(label, [0.5])], "comparisons": [said("test_accuracy", label)]}
    print_contrast(document)
    shown = label.encode("unicode_escape").decode()
    out = capsys.readouterr().out
    assert out.count(shown) == 3
    assert "\x1b" not in out
    assert contrast_markdown(document).count(shown.replace("\\", "\\\\")) == 3


def test_differences(capsys):
    print_differences(DOCUMENT)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        *(["what", "differs", "in", "is"], ["model", "relu", "[relu]"], ["tanh|<b>", "[tanh]"]),
        *(["x", "relu", "null"], ["tanh|<b>", "true"], []),
    ]


def test_no_differences(capsys):
    print_differences(DOCUMENT | {"differences": {}})
    assert capsys.readouterr().out == "the configs are the same\n\n"
