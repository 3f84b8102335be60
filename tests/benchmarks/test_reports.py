"""The page about the five reports: how it is made, and that the one in docs/ is what it says."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks.reports import report_a, report_b, report_c, report_d, report_e
from benchmarks.reports.__main__ import main
from benchmarks.reports.experiments import CONFIGS, EXPERIMENTS, QUICK, Archive, Experiment
from benchmarks.reports.markdown import Check, Goal, agrees, equivalence, table
from benchmarks.reports.page import PLACE, PROSE, fill
from benchmarks.reports.results import Spread, collect
from minidl_cli.commands._options import with_shortcuts
from minidl_cli.commands.sweep import command
from minidl_cli.comparison import paired
from minidl_cli.nn.layers.sigmoid import Sigmoid
from minidl_cli.sweeps import contrast_results, drawing
from minidl_cli.training.build import load_config, variants

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reports.md"
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def draws_nothing(monkeypatch):
    """Leaves empty files in place of the figures of run folders, which take most of the time."""

    def draw_figures(run, task, rounds, log, report):
        for name in ("curves", "clusters", "data", "decision"):
            (run.path / f"{name}.png").touch()

    def write_contrast(folder, title, sides, document):
        for name in ("variants", "variants_end", "all_rounds", "final", "clusters", "predictions"):
            (folder / f"{name}.png").touch()

    monkeypatch.setattr(drawing, "draw_figures", draw_figures)
    monkeypatch.setattr(contrast_results, "write_contrast", write_contrast)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a whole page, of rounds too few and too short to mean anything."""
    folder = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        draws_nothing(patch)
        main(["--quick", "--runs-dir", str(folder)])
    return folder


def test_the_whole_page(made):
    page = (made / "reports.md").read_text()
    assert not PLACE.search(page)
    assert all(f"\n{experiment.command}\n" in page for experiment in EXPERIMENTS)
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page)
    assert sorted(shown) == sorted(f"images/reports/{path.name}" for path in made.glob("images/reports/*"))
    assert len(shown) == len(set(shown)) >= 10
    assert " nan" not in page


def test_every_table_is_one(made):
    """A cell too many or a line break in it would not show in a terminal, but on the page."""
    tables = re.findall(r"(?:^\|.*\|\n)+", (made / "reports.md").read_text(), re.MULTILINE)
    assert len(tables) >= 10
    for found in tables:
        assert len({line.count("|") for line in found.splitlines()}) == 1, found


def test_figures_on_the_page_are_drawn_by_sweeps(tmp_path):
    """The names that the page's figures have in run folders, with nothing put in their place."""
    archive = Archive(tmp_path, QUICK, workers=1)
    archive.train(BY_NAME["e_losses"])
    run = archive.run(BY_NAME["e_losses"])
    drawn = {path.name for path in run.path.glob("*.png")}
    assert {"all_rounds.png", "clusters.png", "predictions.png", "variants_end.png", "final.png"} <= drawn
    assert (run.variant("MSE").path / "data.png").is_file()


def test_runs_are_taken_again_only_if_they_are_of_the_same_config(made, capsys, monkeypatch):
    draws_nothing(monkeypatch)
    before = json.loads((made / "made.json").read_text())
    main(["--quick", "--only", "--runs-dir", str(made)])
    assert json.loads((made / "made.json").read_text()) == before
    assert "minidl sweep" not in capsys.readouterr().out
    b = BY_NAME["b_descent"]
    assert Archive(made, QUICK).has(b)
    assert not Archive(made, [*QUICK, "optimizer.sgd.lr=0.2"]).has(b)
    (Archive(made).run(b).path / "summary.json").unlink()
    main(["--quick", "--only", "--runs-dir", str(made)])
    after = json.loads((made / "made.json").read_text())
    assert {name for name in after if after[name] != before[name]} == {"b_descent"}


def test_only_some_reports(made, capsys, monkeypatch):
    draws_nothing(monkeypatch)
    main(["--quick", "--only", "B", "--runs-dir", str(made)])
    commands = re.findall(r"^minidl .*", capsys.readouterr().out, re.MULTILINE)
    assert commands == [BY_NAME["b_descent"].command]


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_commands_train_what_the_page_reports(experiment):
    """What a reader types is what is trained here: the command line is parsed by minidl itself."""
    _, *words = shlex.split(experiment.command)
    given = command.make_context("sweep", words[1:]).params
    shortcuts = {"name": given["name"], "sweep.rounds": given["rounds"]}
    typed = load_config(given["config"], with_shortcuts(given["settings"], **shortcuts), given["vary"])
    assert typed == experiment.load()


def test_every_config_of_the_reports_is_trained():
    assert {experiment.config for experiment in EXPERIMENTS} == {path.stem for path in CONFIGS.glob("*.yaml")}
    for experiment in EXPERIMENTS:
        config = experiment.load()
        assert config.data_seed == "round"
        assert config.sweep.rounds >= 20
        assert variants(config)  # all of them fit their data and layers


def test_command_of_an_experiment():
    experiment = Experiment("x", "disc", ["a=1"], ["b=1,2"], rounds=3)
    assert experiment.command == "minidl sweep configs/reports/disc.yaml -s a=1 --vary b=1,2 --rounds 3 --name x"


def test_prose_and_blocks_belong_together():
    assert fill("a {{ b.c }} d", {"b.c": "x"}) == "a x d"
    with pytest.raises(ValueError, match=r"\['e'\]"):
        fill("a {{ b }} c", {"b": "x", "e": "y"})
    with pytest.raises(ValueError, match=r"\['b'\]"):
        fill("a {{ b }} c", {})


def test_spread():
    spread = Spread(np.arange(101.0))
    assert (spread.mean, *spread.ends) == (50.0, 5.0, 95.0)
    assert spread.std == pytest.approx(np.sqrt(101 * 102 / 12))
    assert [spread.contains(value) for value in (4.9, 5.0, 95.0, 95.1)] == [False, True, True, False]
    assert [agrees(value, spread) for value in (4.9, 5.0, None)] == ["**no**", "yes", ""]


def test_goals_and_checks():
    found = Spread(np.array([0.94, 0.96]))
    assert Goal.near("x", {"mean": 0.96, "within": 0.011}, found) == Goal("x", "0.96 ± 0.011", "0.9500", True)
    assert not Goal.near("x", {"mean": 0.962, "within": 0.011}, found).reached
    assert str(Check("It is so.", True, "1 of 2")) == "- **Holds.** It is so. *1 of 2.*"
    assert str(Check("It is so.", False, "1 of 2")) == "- **Does not hold.** It is so. *1 of 2.*"
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_equivalence():
    a = [0.90, 0.92, 0.94, 0.96]
    same = equivalence("So.", paired(a, a, 0.01).as_dict(), ("x", "y"))
    assert (same.holds, same.found) == (True, "all 4 pairs are identical")
    near = equivalence("So.", paired(a, [0.901, 0.921, 0.940, 0.961], 0.01).as_dict(), ("x", "y"))
    assert near.holds
    assert near.found.startswith("y minus x is 0.00075 on average (4 pairs, 90% interval ")
    assert near.found.endswith("), inside the margin of ±0.01")
    far = equivalence("So.", paired(a, [0.95, 0.92, 0.99, 0.90], 0.01).as_dict(), ("x", "y"))
    assert str(far).startswith("- **Not shown.** So.")
    assert far.found.endswith("not inside the margin of ±0.01")
    apart = equivalence("So.", paired(a, [0.85, 0.88, 0.89, 0.90], 0.01).as_dict(), ("x", "y"))
    assert str(apart).startswith("- **Does not hold.** So.")


def test_claims_are_decided_by_the_numbers(made):
    """The same claims on other numbers come out the other way."""
    results = collect(EXPERIMENTS, Archive(made))
    side = results["a_100_epochs"]["minidl"]
    assert not report_a._which_table(0.057, side, side).holds
    early = np.array([[1.0, 0.6, 0.5, 0.5, 0.5]])
    late = np.array([[1.0, 1.0, 0.9, 0.6, 0.5]])
    assert report_b._late_fall(late, late[0]).holds
    assert not report_b._late_fall(early, late[0]).holds
    assert not report_b._rises(early, late[0]).holds
    assert report_b._rises(np.array([[1.0, 0.9, 0.95]]), late[0]).holds
    x, y, derivative = report_c._derivative(Sigmoid())
    assert report_c._flat({"sigmoid": (x, y, derivative), "tanh": (x, y, 4 * derivative)}).holds
    assert not report_c._flat({"sigmoid": (x, y, derivative), "tanh": (x, y, derivative)}).holds
    values = results["d_initial_values"]
    assert not report_d._cannot_tell({"Xavier": values["Xavier, shuffled"]}, 0.96).holds
    activations = results["e_activations"]
    assert not report_e._same_epoch(activations, {"relu": 0.001, "elu": 0.001}).holds
    assert report_e._same_epoch(activations, {"relu": 0.45}).holds


def test_reported_deviations_need_the_f_test(made):
    sides = collect([BY_NAME["a_100_epochs"]], Archive(made))["a_100_epochs"].sides
    reported = yaml.safe_load((PROSE.parent / "reported.yaml").read_text())["a"]
    assert report_a._spreads(reported, *sides).holds
    reported["torch"]["test_accuracy"]["std"] *= 10
    assert not report_a._spreads(reported, *sides).holds


def test_the_page_in_the_docs_is_of_this_prose():
    """It is written by `make reports`; whoever edits the prose runs `python -m benchmarks.reports --only`."""
    page = PAGE.read_text()
    first, *middle, last = PLACE.split(PROSE.read_text())[::2]
    assert page.startswith(first)
    assert page.endswith(last)
    start = len(first)
    for part in middle:
        found = page.find(part, start)
        assert found >= 0, part
        start = found + len(part)


def test_the_page_in_the_docs_holds_what_was_reported():
    """All figures of reported.yaml stand in the page, and all commands."""
    page = PAGE.read_text()
    reported = yaml.safe_load((PROSE.parent / "reported.yaml").read_text())
    numbers = [value for letter in "abc" for value in leaves(reported[letter])]
    assert len(numbers) > 30
    for value in numbers:
        assert re.search(rf"(?<![\d.]){re.escape(f'{value:g}')}0*(?!\d)", page), value
    assert all(f"\n{experiment.command}\n" in page for experiment in EXPERIMENTS)


def test_figures_in_the_docs_are_small():
    figures = list((PAGE.parent / "images" / "reports").glob("*"))
    assert {path.suffix for path in figures} == {".png"}
    assert sum(path.stat().st_size for path in figures) < 2.5e6


def leaves(value):
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from leaves(each)
    else:
        yield value
