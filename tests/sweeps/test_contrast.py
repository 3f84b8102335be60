"""Runs side by side: in pairs or not, what differs, and what damaged folders say."""

from types import SimpleNamespace

import pytest

from minidl_cli import load_config, sweep, train
from minidl_cli.errors import InputError, TrainingError
from minidl_cli.registry import Component
from minidl_cli.runs.folder import RoundRow, Run
from minidl_cli.sweeps.contrast import Side, compare, contrast, differences, find_sides, share_seeds_and_data
from minidl_cli.sweeps.contrast_results import write_comparison

pytestmark = pytest.mark.usefixtures("no_figures")


@pytest.fixture
def make(small_config, tmp_path):
    """Returns the run of the small config with overrides; its steps are not compiled, which is no difference here."""
    return lambda *settings: sweep(
        small_config("training.compiled=never", *settings), runs_dir=tmp_path / "runs", workers=1
    )


def sides_of(*runs):
    return find_sides([str(run.path) for run in runs], runs[0].path.parent)


class TestPairs:
    @pytest.mark.parametrize(
        ("settings", "in_pairs"),
        [
            (["optimizer.sgd.lr=0.3"], True),
            (["training.batch_size=5", "training.epochs=2"], True),
            (["sweep.rounds=2"], True),
            (["seed=1", "sweep.rounds=2"], True),
            (["sweep.rounds=5"], True),
            (["seed=1"], False),
            (["seed=7"], False),
            (["data.disc.train=48"], False),
            (["data_seed=1"], False),
            (["data_seed=round"], False),
            (["training.validation=0.2"], False),
        ],
        ids=str,
    )
    def test_rounds_that_share_seeds_and_data_are_compared_in_pairs(self, make, settings, in_pairs):
        a, b = sides_of(make("sweep.rounds=3"), make("sweep.rounds=3", *settings))
        for one, other in [(a, b), (b, a)]:
            assert share_seeds_and_data(one, other) == in_pairs
            assert {each["paired"] for each in contrast([one, other])["comparisons"]} == {in_pairs}

    def test_partners_are_found_by_their_seeds(self, make):
        """The rounds of the second run are the last two of the first."""
        a, b = sides_of(make("sweep.rounds=4"), make("seed=2", "sweep.rounds=2"))
        for comparison in contrast([a, b])["comparisons"]:
            assert (comparison["n_a"], comparison["identical"]) == (2, True)

    def test_seeds_without_a_result_have_no_partner(self, make):
        linear = ["model=[linear: 7, linear: 5, linear: 2]", "training.epochs=4", "sweep.rounds=5"]
        a, b = sides_of(make(*linear), make(*linear, "optimizer.sgd.lr=0.8"))
        assert [row.status for row in b.rows].count("diverged") == 2
        for comparison in contrast([a, b])["comparisons"]:
            assert comparison["n_a"] == comparison["n_b"] == 3
            assert "rounds without a result are left out (2 of " in comparison["conclusion"]

    def test_margins(self, make):
        """A hundredth of all samples, and a tenth of the first run's mean squared error."""
        document = contrast(sides_of(make("sweep.rounds=3"), make("sweep.rounds=3", "optimizer.sgd.lr=0.3")))
        mean = document["variants"][0]["final"]["test_mse"]["mean"]
        margins = {each["metric"]: each["equivalence"]["margin"] for each in document["comparisons"]}
        assert margins["test_accuracy"] == 0.01
        assert margins["test_mse"] == pytest.approx(0.1 * mean)


class TestNumbers:
    """Runs that learn numbers, on a dataset whose target column is called y."""

    REGRESSION = ("data={regression_2d: {train: 40, test: 30}}", "model=[linear: 5, tanh, linear: 1]", "sweep.rounds=3")

    def test_are_compared_by_their_errors(self, make):
        a, b = sides_of(make(*self.REGRESSION), make(*self.REGRESSION, "optimizer.sgd.lr=0.3"))
        document = contrast([a, b])
        assert document["headline"] == "test_mse"
        assert [each["metric"] for each in document["comparisons"]] == ["test_mse", "test_mae", "train_mse"]
        assert document["incomparable"] == []
        final = document["variants"][0]["final"]
        for comparison in document["comparisons"]:
            margin = 0.1 * final[comparison["metric"]]["mean"]
            assert comparison["equivalence"]["margin"] == pytest.approx(margin)
        assert "test MAE" in document["comparisons"][1]["conclusion"]

    def test_the_lower_error_is_the_better_one(self, make):
        rounds = "sweep.rounds=8"
        untrained = make(*self.REGRESSION, rounds, "training.epochs=0")
        document = contrast(sides_of(untrained, make(*self.REGRESSION, rounds, "name=trained")))
        assert "in favour of trained" in document["comparisons"][0]["conclusion"]

    def test_other_data_are_on_the_same_scale(self, make):
        a, b = sides_of(make(*self.REGRESSION), make(*self.REGRESSION, "data_seed=1"))
        assert len(contrast([a, b])["comparisons"]) == 3
        assert "their data differ" in contrast([a, b])["comparisons"][0]["conclusion"]

    def test_and_classes_have_nothing_to_compare(self, make):
        disc, surface, other = sides_of(make(), make(*self.REGRESSION, "name=surface"), make("name=other"))
        document = contrast([disc, surface, other])
        said = f"there is nothing to compare: {disc.label} predicts a class, but surface a number (y)"
        assert document["incomparable"] == [{"a": disc.label, "b": "surface", "conclusion": said}]
        assert {each["b"] for each in document["comparisons"]} == {"other"}
        # What all three have.
        assert document["headline"] == "test_mse"

    def test_of_other_columns_have_nothing_to_compare(self, make):
        runs = make(*self.REGRESSION), make(*self.REGRESSION, "name=z")
        columns = runs[1].path / "columns.json"
        columns.write_text(columns.read_text().replace('"y"', '"z"'))
        document = contrast(sides_of(*runs))
        assert document["comparisons"] == []
        assert document["incomparable"][0]["conclusion"].endswith("a number (y), but z a number (z)")

    def test_runs_that_all_diverged_still_say_what_they_were_about(self, make, tmp_path):
        with pytest.raises(TrainingError, match="every round diverged"):
            make(*self.REGRESSION, "optimizer.sgd.lr=1e30")
        (diverged,) = Run.all(tmp_path / "runs")
        document = contrast(sides_of(diverged, make(*self.REGRESSION, "name=other")))
        assert (document["headline"], document["comparisons"]) == ("test_mse", [])


@pytest.mark.parametrize(
    ("paths", "contents", "are_same"),
    [
        (("a.csv", "a.csv"), ("1f", "1f"), True),
        (("a.csv", "b.csv"), ("1f", "1f"), True),
        (("a.csv", "a.csv"), ("1f", "2f"), False),
        (("a.csv", "b.csv"), ("1f", "2f"), False),
        (("a.csv", "a.csv"), ("1f", None), True),
        (("a.csv", "b.csv"), ("1f", None), False),
    ],
)
def test_files_are_the_same_if_their_contents_are_where_these_are_known(paths, contents, are_same):
    def side(path, content):
        data = Component("table", {"file": path, "target": "z", "features": ["x", "y"], "test_file": None})
        config = SimpleNamespace(data=data, data_seed=0, training=SimpleNamespace(validation=0.0))
        contents = {path: content} if content else {}
        return SimpleNamespace(config=config, contents=contents, rows=[RoundRow(0, "finished", 1, {})])

    a, b = map(side, paths, contents)
    assert share_seeds_and_data(a, b) == share_seeds_and_data(b, a) == are_same


class TestDifferences:
    def test_of_configs(self, small_config):
        configs = {
            "a": small_config("optimizer={rmsprop: 0.1}"),
            "b": small_config("optimizer={rmsprop: 0.2}", "training.early_stopping={patience: 3}", "loss=l1", "name=x"),
        }
        assert differences(configs) == {
            "loss.mse.reduction": {"a": "mean", "b": None},
            "loss.l1.reduction": {"a": None, "b": "mean"},
            "optimizer.rmsprop.lr": {"a": 0.1, "b": 0.2},
            "training.early_stopping.monitor": {"a": None, "b": "validation_loss"},
            "training.early_stopping.patience": {"a": None, "b": 3},
            "training.early_stopping.min_delta": {"a": None, "b": 0.0},
        }

    def test_equal_configs_have_none(self, small_config):
        assert differences({"a": small_config("seed=1"), "b": small_config("name=x", "seed=1")}) == {}

    def test_what_only_one_config_has(self, small_config):
        configs = {"a": small_config(), "b": small_config("sweep.target={test_accuracy: 0.9}")}
        assert differences(configs) == {"sweep.target.test_accuracy": {"a": None, "b": 0.9}}

    def test_a_third_config_that_differs_counts(self, small_config):
        configs = {"a": small_config(), "b": small_config(), "c": small_config("seed=1")}
        assert differences(configs) == {"seed": {"a": 0, "b": 0, "c": 1}}


class TestLabels:
    def test_names_or_ids_where_names_are_the_same(self, make):
        first, second, third = make(), make(), make("name=other")
        assert [side.label for side in sides_of(first, second, third)] == [first.id, second.id, "other"]

    def test_sweep_of_variants_stands_for_all_of_them(self, make):
        both, alone = make("sweep.vary={model.1: {a b: relu, c: tanh}}"), make()
        assert [side.label for side in sides_of(both)] == ["a b", "c"]
        assert [side.label for side in sides_of(both, alone)] == ["a b", "c", "small"]
        assert [side.label for side in sides_of(both.variant("c"), alone)] == ["small-c", "small"]

    def test_the_same_run_twice(self, make):
        run = make()
        with pytest.raises(InputError, match=rf"^{run.id} is there 2 times; name each run once$"):
            sides_of(run, run)

    def test_one_run_is_nothing_to_compare(self, make):
        run = make()
        with pytest.raises(InputError, match=rf"^there is nothing to compare {run.path} with; name two runs or more$"):
            sides_of(run)


class TestDamage:
    @pytest.fixture
    def runs(self, make):
        return make("sweep.target={test_accuracy: 0.5}"), make("seed=1")

    @staticmethod
    def compare(runs, folder):
        sides = sides_of(*runs)
        write_comparison(folder, sides, contrast(sides))

    @pytest.mark.parametrize(
        ("file", "old", "new"),
        [
            ("metrics.csv", None, ""),
            ("metrics.csv", "0,3,", "0,x,"),
            ("metrics.csv", "\n0,2", ",1\n0,2"),
            ("metrics.csv", "test_accuracy", "test_acc"),
            ("metrics.csv", "seed,epoch", "epoch,seed"),
            ("rounds.csv", None, ""),
            ("rounds.csv", "test_accuracy", "test_acc"),
            ("rounds.csv", "finished,3,", "finished,3,,"),
            ("rounds.csv", "finished,3,0.", "finished,3,nan,0."),
            ("summary.json", "{", "["),
            ("summary.json", None, "{}"),
            ("summary.json", None, "[]"),
            ("summary.json", '"seconds": ', '"seconds": "x", "x": '),
            ("summary.json", '"seconds": ', '"seconds": "nan", "x": '),
            ("config.yaml", "loss:", "los:"),
            ("columns.json", None, "{}"),
            ("columns.json", "x2", "x1"),
            ("columns.json", None, "["),
            ("environment.json", None, "[]"),
            ("environment.json", '"data": {}', '"data": []'),
            ("environment.json", '"data": {}', '"data": {"a.csv": "1f"}'),
            ("environment.json", '"data": {}', '"data": {"a.csv": {}}'),
        ],
    )
    def test_damaged_file_is_told(self, runs, tmp_path, file, old, new):
        path = runs[0].path / file
        text = path.read_text()
        path.write_text(new if old is None else text.replace(old, new))
        assert path.read_text() != text
        with pytest.raises(InputError) as caught:
            self.compare(runs, tmp_path / "out")
        assert all(str(runs[0].path) in line for line in caught.value.problems)

    @pytest.mark.parametrize("file", ["metrics.csv", "rounds.csv", "summary.json", "columns.json", "environment.json"])
    def test_missing_file_is_told(self, runs, tmp_path, file):
        (runs[1].path / file).unlink()
        reason = "the run has not finished" if file == "summary.json" else "the folder is damaged"
        with pytest.raises(InputError, match=rf"{runs[1].id}: has no {file}: {reason}"):
            self.compare(runs, tmp_path / "out")

    def test_rounds_that_were_not_logged(self, runs, tmp_path):
        header = runs[0].metrics_path.read_text().splitlines()[0]
        runs[0].metrics_path.write_text(f"{header}\n")
        document = contrast(sides_of(*runs))
        assert document["variants"][0]["targets"]["test_accuracy"]["epochs"]["reached"] == 0

    def test_folder_that_cannot_be_written(self, runs, tmp_path):
        (tmp_path / "file").write_text("")
        for folder, problem in [
            (tmp_path / "file", "is a file; name a folder"),
            (tmp_path / "file/below", "cannot be written: Not a directory"),
            (runs[0].path, "is a run; name another folder, so that none of its files is overwritten"),
        ]:
            with pytest.raises(InputError, match=f"^{folder}: {problem}$"):
                self.compare(runs, folder)

    def test_rounds_that_the_config_does_not_ask_for(self, runs, tmp_path):
        table = runs[0].path / "rounds.csv"
        table.write_text(table.read_text().replace("\n0,", "\n5,"))
        with pytest.raises(InputError, match=r"rounds\.csv: does not have the seeds that config\.yaml asks for"):
            self.compare(runs, tmp_path / "out")

    def test_output_goes_into_a_new_folder(self, runs, tmp_path):
        self.compare(runs, tmp_path / "a/b")
        assert {path.name for path in (tmp_path / "a/b").iterdir()} == {"comparison.json", "table.md"}


def test_curves_of_rounds_in_any_order(small_config, tmp_path):
    run = sweep(small_config("sweep.rounds=3"), runs_dir=tmp_path, workers=1)
    curves = Side.of("a", run).curves
    assert (curves.seeds, curves.epochs) == ([0, 1, 2], [1, 2, 3])
    values = curves.of([2, 9, 0], "test_mse")
    assert values.shape == (3, 3)
    assert values[0].tolist() == curves.values["test_mse"][2].tolist()
    assert values[2].tolist() == curves.values["test_mse"][0].tolist()
    assert all(value != value for value in values[1])  # nothing was logged of it


def test_side_reads_what_was_written(small_config, tmp_path):
    run = train(small_config("training.validation=0.2"), runs_dir=tmp_path)
    side = Side.of("a", Run(run.path))
    assert side.missing == 0
    assert side.finished[0].metrics.keys() == run.summary()["final"].keys()
    assert side.values("validation_mse").tolist() == [run.summary()["final"]["validation_mse"]["mean"]]


def test_differing_data_are_no_difference_of_methods(make):
    """Nor are squared errors on different scales compared."""
    a, b = sides_of(make("sweep.rounds=3"), make("sweep.rounds=3", "data.disc.target_values=[-1, 1]", "data_seed=1"))
    (only,) = contrast([a, b])["comparisons"]
    assert only["metric"] == "test_accuracy"
    assert only["conclusion"].endswith("; their data differ, so this says nothing of the methods")


def test_several_comparisons_are_corrected(make):
    found = contrast(sides_of(*[make("sweep.rounds=4", f"optimizer.sgd.lr={lr}") for lr in (0.1, 0.2, 0.3)]))
    for comparison in found["comparisons"]:
        if "p" in comparison:
            assert comparison["p"] <= comparison["p_holm"]
            assert comparison["comparisons"] == 2


def test_compare_takes_runs_and_folders(make):
    one, other = make("sweep.rounds=2"), make("sweep.rounds=2", "optimizer.sgd.lr=0.2")
    assert compare(one, str(other.path)) == contrast(sides_of(one, other))


@pytest.mark.parametrize(("varied", "word"), [("numeric=standardize,none", "paired"), ("missing=drop,mean", "differ")])
def test_how_a_table_is_treated_makes_no_other_data(tmp_path, varied, word):
    """Whether a number is scaled is a matter of method; which rows there are is one of data."""
    rows = [f"{place / 7},{'' if place == 3 else place * place},{'pq'[place % 2]}" for place in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,kind", *rows]) + "\n")
    (tmp_path / "c.yaml").write_text("""
data: {table: {file: t.csv, target: kind, missing: mean}}
model: [linear: 2]
loss: cross_entropy
optimizer: {sgd: 0.1}
training: {epochs: 1, batch_size: 4, compiled: never}
sweep: {rounds: 3}
""")
    run = sweep(load_config(tmp_path / "c.yaml", vary=[f"data.table.{varied}"]), runs_dir=tmp_path)
    assert all(word in each["conclusion"] for each in run.summary()["comparisons"])
