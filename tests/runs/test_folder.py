"""The run folder: found, made, and never half written."""

import errno
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from minidl_cli.atomic import write_atomically
from minidl_cli.errors import InputError
from minidl_cli.runs.folder import Run
from minidl_cli.runs.lock import Lock
from minidl_cli.runs.metrics import Curves, MetricsLog, read_metrics

FILES = {"config.yaml": "name: a\n", "environment.json": "{}\n"}


def test_a_new_run_has_its_files(tmp_path):
    run = Run.create(tmp_path / "runs", "a b", FILES)
    assert re.fullmatch(r"a b-\d{8}-\d{6}-[0-9a-f]{4}", run.id)
    assert run.name == "a b"
    assert {path.name: path.read_text() for path in run.path.iterdir()} == FILES
    assert not run.is_finished


def test_many_at_once_get_a_folder_each(tmp_path):
    with ThreadPoolExecutor(20) as pool:
        runs = list(pool.map(lambda _: Run.create(tmp_path, "a", FILES), range(40)))
    assert len({run.path for run in runs}) == 40
    assert len(list(tmp_path.iterdir())) == 40


def test_twenty_processes_get_a_folder_each(tmp_path):
    """All wait until the last is there; a folder that was left long ago is in the way of all."""
    left = tmp_path / ".a-20200101-000000-0000.partial"
    left.mkdir()
    os.utime(left, (0, 0))
    waiting, start = os.pipe()
    processes = []
    for number in range(20):
        processes.append(os.fork())
        if not processes[-1]:
            os.close(start)
            os.read(waiting, 1)
            Run.create(tmp_path, "a", FILES | {"number": str(number)})
            os._exit(0)
    os.close(waiting)
    os.close(start)
    assert [os.waitpid(process, 0)[1] for process in processes] == [0] * 20
    assert sorted(int((path / "number").read_text()) for path in tmp_path.iterdir()) == list(range(20))


def test_what_killed_processes_left_is_removed(tmp_path):
    def make(name: str, age: float) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.yaml").write_text("")
        os.utime(folder, (time.time() - age, time.time() - age))
        return folder

    def make_link(name: str, target: Path) -> Path:
        (tmp_path / name).symlink_to(target)
        os.utime(tmp_path / name, (0, 0), follow_symlinks=False)
        return tmp_path / name

    old, recent = ".a b\n-20260102-030405-00ff.partial", ".a-20260102-030405-00fe.partial"
    make(old, 3700)
    kept = [
        make(recent, 3500),
        make(".a.partial", 10**6),
        make("a-20260102-030405-00ff.partial", 10**6),
        make(".a-20260102-030405-00ff.partial.old", 10**6),
        make("outside", 10**6),
    ]
    kept.append(make_link(".b-20260102-030405-00ff.partial", tmp_path / "outside"))
    (tmp_path / ".c-20260102-030405-00ff.partial").write_text("a file")
    os.utime(tmp_path / ".c-20260102-030405-00ff.partial", (0, 0))
    kept.append(tmp_path / ".c-20260102-030405-00ff.partial")
    run = Run.create(tmp_path, "a", FILES)
    assert sorted(tmp_path.iterdir()) == sorted([*kept, run.path])
    assert (tmp_path / "outside/config.yaml").exists()


def test_a_process_killed_in_creating_leaves_what_is_swept(tmp_path, monkeypatch):
    killed = os.fork()
    if not killed:
        monkeypatch.setattr("os.fsync", lambda _: os._exit(9))
        Run.create(tmp_path, "a", FILES)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(killed, 0)[1]) == 9
    (hidden,) = tmp_path.iterdir()
    assert Run.all(tmp_path) == []
    os.utime(hidden, (0, 0))
    run = Run.create(tmp_path, "a", FILES)
    assert list(tmp_path.iterdir()) == [run.path]


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("minidl_cli.runs.folder.write_atomically", full)
    with pytest.raises(InputError, match="a run cannot be written there: No space left on device"):
        Run.create(tmp_path, "a", FILES)
    assert list(tmp_path.iterdir()) == []


def test_find(tmp_path):
    first, second = (Run.create(tmp_path, "a", FILES) for _ in range(2))
    assert Run.find(str(first.path), tmp_path) == first
    assert Run.find(second.id, tmp_path) == second
    assert Run.find("latest", tmp_path) == second
    assert Run.all(tmp_path) == [first, second]


@pytest.mark.parametrize("reference", ["none", "../none", "/none", "latest"])
def test_find_nothing(tmp_path, reference):
    with pytest.raises(InputError):
        Run.find(reference, tmp_path)


def test_atomic_write_replaces(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write_that_fails_keeps_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_writes_at_once_are_whole(tmp_path):
    """Of two processes that write the same file, none sees the other's half."""
    path, sizes = tmp_path / "file", range(100_000, 100_020)
    with ThreadPoolExecutor(20) as pool:
        for _ in pool.map(lambda size: write_atomically(path, b"x" * size), sizes):
            assert len(path.read_bytes()) in sizes
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_write_replaces_a_link(tmp_path):
    (tmp_path / "outside").write_text("old")
    (tmp_path / "file").symlink_to("outside")
    write_atomically(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"
    assert (tmp_path / "outside").read_text() == "old"


def test_json_refuses_nan(tmp_path):
    run = Run.create(tmp_path, "a", FILES)
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.write_json("summary.json", {"mean": float("nan")})
    assert not run.is_finished


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, "\xff"])
def test_unreadable_json_is_an_input_error(tmp_path, content):
    run = Run.create(tmp_path, "a", FILES)
    (run.path / "summary.json").write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=re.escape(str(run.path))):
        run.summary()


class TestMetricsLog:
    SEEDS, EPOCHS, NAMES = (8, 9), (1, 2), ("train_loss", "test_loss")

    def write(self, path: Path, *records):
        with MetricsLog(path, self.SEEDS, self.EPOCHS, self.NAMES) as log:
            for epoch, seeds, values in records:
                numbers = torch.tensor(values, dtype=torch.float64).numpy()
                log.write(epoch, seeds, 0.1, {"train_loss": numbers, "test_loss": 2 * numbers}, 1.5)
        return log

    def test_rows_are_flushed_as_they_come_and_sorted_at_the_end(self, tmp_path):
        path = tmp_path / "metrics.csv"
        with MetricsLog(path, self.SEEDS, self.EPOCHS, self.NAMES) as log:
            for epoch in self.EPOCHS:
                numbers = torch.tensor([0.1 * epoch, 0.3 * epoch], dtype=torch.float64).numpy()
                log.write(epoch, self.SEEDS, 0.1, {"train_loss": numbers, "test_loss": numbers}, 1.23456)
                assert len(path.read_text().splitlines()) == 1 + 2 * epoch
        rows = path.read_text().splitlines()
        assert rows[0] == "seed,epoch,lr,train_loss,test_loss,seconds"
        assert [row.split(",")[:2] for row in rows[1:]] == [["8", "1"], ["8", "2"], ["9", "1"], ["9", "2"]]
        assert rows[2] == "8,2,0.1,0.2,0.2,1.2346"

    def test_values_keep_all_digits_and_gaps(self, tmp_path):
        third = 1 / 3
        log = self.write(tmp_path / "metrics.csv", (1, [9], [third]), (2, [8, 9], [float("inf"), float("nan")]))
        assert [line.split(",")[3] for line in (tmp_path / "metrics.csv").read_text().splitlines()[1:]] == [
            "",
            repr(third),
            "",
        ]
        assert log.values["test_loss"][1, 0] == 2 * third
        assert log.values["train_loss"].shape == (2, 2)

    def test_what_is_read_is_what_was_logged(self, tmp_path):
        log = self.write(tmp_path / "metrics.csv", (1, [9], [1 / 3]), (2, [8, 9], [float("inf"), 0.25]))
        found = read_metrics((tmp_path / "metrics.csv").read_text(), {8, 9}, 2)
        assert (found.seeds, found.epochs) == ([8, 9], [1, 2])
        assert found.values.keys() == {"lr", *self.NAMES, "seconds"}
        for name in self.NAMES:
            logged = np.where(np.isfinite(log.values[name]), log.values[name], np.nan)
            np.testing.assert_array_equal(found.values[name], logged)
            np.testing.assert_array_equal(found.of([9, 8], name), logged[::-1])
        assert log.curves().epochs == [1, 2]

    def test_every_number_is_written_as_it_is(self, tmp_path):
        """Columns of the same bits are written out once; those that are only equal are not the same."""
        columns = {"a": [0.0, 1 / 3], "b": [-0.0, 1 / 3], "c": [0.0, 1 / 3], "d": [float("nan"), -float("inf")]}
        with MetricsLog(tmp_path / "metrics.csv", [3, 10**18], [7], list(columns)) as log:
            log.write(7, [10**18, 3], 1e-7, {name: np.array(values) for name, values in columns.items()}, 0.00006)
        assert (tmp_path / "metrics.csv").read_text().splitlines()[1:] == [
            f"3,7,1e-07,{1 / 3!r},{1 / 3!r},{1 / 3!r},,0.0001",
            f"{10**18},7,1e-07,0.0,-0.0,0.0,,0.0001",
        ]
        found = read_metrics((tmp_path / "metrics.csv").read_text(), {3, 10**18}, 7)
        assert found.seeds == [3, 10**18]
        np.testing.assert_array_equal(found.values["b"], [[1 / 3], [-0.0]])
        assert np.isnan(found.values["d"]).all()

    def test_stacks_of_rounds_that_come_in_any_order_are_sorted(self, tmp_path):
        seeds, epochs = range(9, 29), [2, 4, 6, 7]
        log = MetricsLog(tmp_path / "metrics.csv", seeds, epochs, ["loss"])
        with log:
            for epoch in epochs:
                for stack in (seeds[12:], [11, 9, 10], seeds[3:12]):
                    log.write(epoch, stack, 0.1, {"loss": np.array([seed + epoch / 10 for seed in stack])}, 1.0)
        written = [line.split(",")[:4] for line in (tmp_path / "metrics.csv").read_text().splitlines()[1:]]
        assert written == [
            [str(seed), str(epoch), "0.1", repr(seed + epoch / 10)] for seed in seeds for epoch in epochs
        ]
        np.testing.assert_array_equal(log.values["loss"], np.add.outer(seeds, np.array(epochs) / 10))

    def test_what_came_before_an_error_is_kept_as_it_came(self, tmp_path):
        with pytest.raises(KeyError):
            self.write(tmp_path / "metrics.csv", (1, [9], [1.0]), (1, [8], [1.0]), (1, [7], [1.0]))
        assert [line[:2] for line in (tmp_path / "metrics.csv").read_text().splitlines()] == ["se", "9,", "8,"]

    def test_nothing_logged(self, tmp_path):
        with MetricsLog(tmp_path / "metrics.csv", self.SEEDS, [], ["loss"]) as log:
            pass
        assert (tmp_path / "metrics.csv").read_text() == "seed,epoch,lr,loss,seconds\n"
        found = read_metrics((tmp_path / "metrics.csv").read_text(), {8, 9}, 0)
        assert (found.seeds, found.epochs) == ([], [])
        assert found.of([8, 9], "loss").shape == log.values["loss"].shape == (2, 0)

    def test_empty_cells_anywhere_are_gaps(self):
        found = read_metrics("seed,epoch,a,b,c\n0,1,,,\n0,2,1,,\n0,3,,2,3\n", {0}, 3)
        np.testing.assert_array_equal(found.values["a"], [[np.nan, 1, np.nan]])
        np.testing.assert_array_equal(found.values["b"], [[np.nan, np.nan, 2]])
        np.testing.assert_array_equal(found.values["c"], [[np.nan, np.nan, 3]])

    def test_curves_of_rounds_of_which_nothing_was_logged(self):
        curves = Curves([3], [1, 2], {"test_loss": np.array([[0.5, 0.25]])})
        np.testing.assert_array_equal(curves.of([7, 3], "test_loss"), [[np.nan, np.nan], [0.5, 0.25]])

    @pytest.mark.parametrize(
        "text",
        [
            *("", "\n", "epoch,seed\n", "seed,epoch\n\n"),
            *("seed,epoch,a\n0,1\n", "seed,epoch,a\n0,1,2,3\n", "seed,epoch,a\n0,x,2\n", "seed,epoch,a\n0,1,x\n"),
            *("seed,epoch,a\n0,1,2\n\n", "seed,epoch,a\n\n0,1,2\n", "seed,epoch,a\n0,1.5,2\n", "seed,epoch,a\n#,1,2\n"),
            *("seed,epoch,a\n,1,2\n", "seed,epoch,a\n99999999999999999999,1,2\n", "seed,epoch,a\n0,1,2 3\n"),
            # Of a seed and of epochs that the run does not have: a table of all of them could fill the memory.
            *("seed,epoch,a\n1,1,2\n", "seed,epoch,a\n0,0,2\n", "seed,epoch,a\n0,4,2\n"),
        ],
    )
    def test_damaged_table_is_an_error(self, text, tmp_path):
        with pytest.raises((ValueError, IndexError)):
            read_metrics(text, {0}, 3)
        run = Run.create(tmp_path, "a", FILES | {"rounds.csv": "seed,status,epochs,test_mse\n0,finished,3,2\n"})
        run.metrics_path.write_text(text)
        with pytest.raises(InputError, match=r"metrics\.csv: cannot be read: "):
            run.curves(3)


class TestRounds:
    HEADER = "seed,status,epochs,best_epoch,test_mse,test_accuracy"

    def read(self, tmp_path, *lines):
        run = Run.create(tmp_path, "a", FILES)
        (run.path / "rounds.csv").write_text("\n".join([self.HEADER, *lines]) + "\n")
        return run.round_rows()

    def test_rows(self, tmp_path):
        first, second = self.read(tmp_path, "3,finished,7,5,0.25,0.9", "4,diverged,2,1,,")
        assert (first.seed, first.status, first.epochs) == (3, "finished", 7)
        assert first.metrics == {"test_mse": 0.25, "test_accuracy": 0.9}
        assert (second.status, second.metrics) == ("diverged", {})

    @pytest.mark.parametrize(
        "lines",
        [
            [],
            ["3,finished,7,5,0.25,"],
            ["3,finished,7,5,0.25"],
            ["3,finished,7,5,0.25,0.9,1"],
            ["3,finished,7,5,nan,0.9"],
            ["3,finished,7,5,inf,0.9"],
            ["3,finished,7,5,x,0.9"],
            ["3,finished,x,5,0.25,0.9"],
            ["3,finished,-1,5,0.25,0.9"],
            ["-3,finished,7,5,0.25,0.9"],
            [f"{10**18},finished,7,5,0.25,0.9"],
            [f"{'9' * 5000},finished,7,5,0.25,0.9"],
            ["3,done,7,5,0.25,0.9"],
            ["3,finished,7,5,0.25,0.9", "3,finished,7,5,0.25,0.9"],
        ],
        ids=str,
    )
    def test_damaged_rows(self, tmp_path, lines):
        with pytest.raises(InputError, match=r"rounds\.csv: "):
            self.read(tmp_path, *lines)

    @pytest.mark.parametrize("column", ["a", "", "test_", "mse", "test_MSE", "x" * 100_000], ids=range(6))
    def test_a_column_that_is_no_metric(self, tmp_path, column, monkeypatch):
        monkeypatch.setattr(self, "HEADER", f"{self.HEADER},{column}", raising=False)
        with pytest.raises(InputError, match=r"rounds\.csv: cannot be read: KeyError") as caught:
            self.read(tmp_path, "3,finished,7,5,0.25,0.9,1")
        assert len(str(caught.value)) < 500


class TestFilesThatAreNotThere:
    @pytest.fixture
    def run(self, tmp_path):
        return Run.create(tmp_path / "my runs", "a", FILES | {"columns.json": "{}\n"})

    def test_unfinished_run_says_how_to_go_on(self, run):
        with pytest.raises(InputError) as caught:
            run.summary()
        command = f"minidl train --resume '{run.path}'"
        problem = f"has no summary.json: the run has not finished, or was interrupted; to go on: {command}"
        assert caught.value.problems == [f"{run.path}: {problem}"]

    def test_run_that_is_being_trained_says_so(self, run):
        with Lock(run.path), pytest.raises(InputError, match=r"has no rounds\.csv yet: the run is being trained$"):
            run.rounds()

    def test_finished_run_is_damaged(self, run):
        run.write_json("summary.json", {})
        with pytest.raises(InputError, match=r"has no rounds\.csv: the folder is damaged$"):
            run.rounds()

    @pytest.mark.parametrize("name", ["environment", "columns"])
    def test_run_without_what_every_run_has_is_damaged(self, run, name):
        (run.path / f"{name}.json").unlink()
        with pytest.raises(InputError, match=rf"has no {name}\.json: the folder is damaged$"):
            getattr(run, name)()


class TestVariants:
    @pytest.fixture
    def run(self, tmp_path):
        """The folder of a sweep of two variants that has just begun."""
        below = {f"variants/{folder}/{name}": text for folder in ("c", "b d") for name, text in FILES.items()}
        return Run.create(tmp_path, "a", FILES | below)

    def test_they_are_run_folders_below(self, run, tmp_path):
        assert run.has_variants
        variant = run.variant("b d")
        assert Run.find(str(run.path / "variants/b d")) == variant
        assert {path.name: path.read_text() for path in variant.path.iterdir()} == FILES
        assert Run.all(tmp_path) == [run]
        assert not Run.create(tmp_path, "a", FILES).has_variants

    def test_unfinished_variant_goes_on_with_its_sweep(self, run):
        with pytest.raises(InputError, match=f"to go on: minidl train --resume {run.path}$"):
            run.variant("c").summary()
        with Lock(run.path), pytest.raises(InputError, match="yet: the run is being trained"):
            run.variant("c").summary()

    def test_variant_that_is_gone(self, run):
        with pytest.raises(InputError, match=r"variants/e: is not there$"):
            run.variant("e").environment()

    def test_what_only_a_variant_has_names_one(self, run):
        with pytest.raises(InputError, match="the run has not finished"):
            run.weights()
        run.write_json("summary.json", {})
        with pytest.raises(InputError, match=rf"{run.id}: is a sweep of variants; .* such as {run.path}/variants/b d$"):
            run.weights()

    @pytest.mark.parametrize("summary", [{}, {"variants": 3}, {"variants": [{"label": "b"}]}, []], ids=str)
    def test_damaged_summary(self, run, summary):
        run.write_json("summary.json", summary)
        with pytest.raises(InputError, match=r"summary\.json: (is not the summary of a|cannot be read)"):
            run.variants()

    def test_labels_and_folders_are_those_of_the_summary(self, run):
        run.write_json("summary.json", {"variants": [{"label": "b, d", "folder": "b d"}]})
        assert run.variants() == [("b, d", run.variant("b d"))]

    def test_a_summary_leads_to_no_other_place(self, run):
        run.write_json("summary.json", {"variants": [{"label": "x", "folder": "../../../etc"}]})
        ((_, variant),) = run.variants()
        assert variant.path.parent == run.path / "variants"
