"""A run that was stopped and resumed is the run that was never stopped."""

import json
import re
import shutil
import warnings
from contextlib import closing
from pathlib import Path
from threading import Timer

import pytest

from minidl_cli import load_config, resume, sweep
from minidl_cli.errors import CompilationError, InputError, MinidlWarning, TrainingError
from minidl_cli.runs.folder import Run
from minidl_cli.runs.lock import Lock, is_locked
from minidl_cli.sweeps import contrast_results, drawing, timetable, workers
from minidl_cli.sweeps.resume import FIGURES, start_again
from minidl_cli.sweeps.sweep import start
from tests.conftest import SMALL, leave_out_figures
from tests.sweeps import dying
from tests.sweeps.contents import results
from tests.training.rounds import STOPPING

pytestmark = pytest.mark.usefixtures("no_figures")

ROUNDS = ("sweep.rounds=5", "training.epochs=6", "training.checkpoint_every=0.0001")
VALIDATED = ("training.validation=0.2",)
DIVERGING = ("model=[linear: 7, linear: 5, linear: 2]", "optimizer.sgd.lr=0.84")


@pytest.fixture(autouse=True)
def _checkpoints_at_every_epoch(monkeypatch):
    monkeypatch.setattr(timetable, "COSTS_BETWEEN", 0)


@pytest.fixture(scope="module")
def configure(tmp_path_factory):
    """Does what `small_config` does, for the runs that tests share."""
    path = tmp_path_factory.mktemp("config") / "small.yaml"
    path.write_text(SMALL)
    return lambda settings: load_config(path, settings)


@pytest.fixture(scope="module")
def originals(configure, tmp_path_factory):
    """A run of these rounds that has finished, and one that was stopped, which no test changes."""
    folder, config = tmp_path_factory.mktemp("originals"), configure(ROUNDS)
    with pytest.MonkeyPatch.context() as patched:
        leave_out_figures(patched)
        patched.setattr(timetable, "COSTS_BETWEEN", 0)
        finished = sweep(config, runs_dir=folder, workers=1)
        return finished, stop_after(start(config, folder, workers=1, chunk=3), 8)


def copy(run, folder):
    return Run(shutil.copytree(run.path, folder / run.path.name))


@pytest.fixture
def finished(originals, tmp_path):
    """A copy of the run that has finished."""
    return copy(originals[0], tmp_path)


@pytest.fixture
def stopped(originals, tmp_path):
    """A copy of the run that was stopped, in its second stack."""
    return copy(originals[1], tmp_path)


@pytest.fixture
def expected(originals):
    """The results of these rounds."""
    return results(originals[0])


def stop_after(job, records):
    """Do a job until so many records have come, and return its run."""
    with closing(job.records()) as events:
        for _, _ in zip(range(records), events, strict=False):
            pass
    assert not is_locked(job.run.path)
    assert not job.run.is_finished
    return job.run


@pytest.mark.parametrize(
    "settings",
    [
        (),
        VALIDATED,
        ("training.log_every=4",),
        ("training.compiled=never",),
        ("framework=torch",),
        ("data_seed=round",),
        DIVERGING,
        (*STOPPING, "sweep.rounds=11"),
    ],
    ids=str,
)
def test_at_any_epoch(small_config, tmp_path, settings):
    config = small_config(*ROUNDS, *settings)
    expected = results(sweep(config, runs_dir=tmp_path, workers=1, chunk=3))
    for records in (1, 8):
        run = stop_after(start(config, tmp_path, workers=1, chunk=3), records)
        assert results(resume(run, workers=1)) == expected


def test_again_and_again(small_config, tmp_path, expected):
    run = stop_after(start(small_config(*ROUNDS), tmp_path, workers=1, chunk=2), 2)
    for _ in range(8):
        stop_after(start_again(run, workers=1, chunk=2), 1)
    assert results(resume(run, workers=1)) == expected


@pytest.mark.usefixtures("forked_workers")
def test_other_workers_and_chunks(small_config, tmp_path, expected):
    run = stop_after(start(small_config(*ROUNDS), tmp_path, workers=1, chunk=2), 4)
    assert results(resume(run, workers=2, chunk=1)) == expected


def test_all_figures_are_known():
    """A figure that is not would stay beside other numbers than it shows, where no round finishes."""
    sources = [Path(module.__file__).read_text() for module in (drawing, contrast_results)]
    drawn = {name for source in sources for name in re.findall(r'/ "(\w+)\.png"', source)}
    assert drawn == set(FIGURES)


def test_seconds_go_on(small_config, tmp_path):
    run = stop_after(start(small_config("training.epochs=30", *ROUNDS[2:]), tmp_path), 20)
    seconds = resume(run).curves(30).values["seconds"][0]
    assert (seconds[1:] > seconds[:-1]).all()


def told(run):
    """Return what the summary of a sweep of variants says, but for times and folders."""
    found = run.summary()
    for each in found["variants"]:
        del each["folder"], each["run"]
    return json.loads(re.sub(r'"seconds": [\d.]+', '"seconds": 0', json.dumps(found)))


VARIANTS = (*ROUNDS, "sweep.rounds=2", "sweep.vary={training.batch_size: [10, 20, 30]}")


@pytest.fixture(scope="module")
def variants(configure, tmp_path_factory):
    """A sweep of these variants, which no test changes."""
    with pytest.MonkeyPatch.context() as patched:
        leave_out_figures(patched)
        return sweep(configure(VARIANTS), runs_dir=tmp_path_factory.mktemp("variants"), workers=1, chunk=1)


class TestVariants:
    @pytest.mark.parametrize("records", [1, 3, 8, 17])
    def test_at_any_epoch(self, small_config, tmp_path, variants, records):
        run, expected = stop_after(start(small_config(*VARIANTS), tmp_path, workers=1, chunk=1), records), variants
        resume(run)
        for (label, one), (same, other) in zip(run.variants(), expected.variants(), strict=True):
            assert label == same
            assert results(one) == results(other)
        assert told(run) == told(expected)
        (run.path / "variants.png").write_bytes(b"")
        for _, variant in run.variants():
            (variant.path / "curves.png").write_bytes(b"")
        job = start_again(run)
        assert (job.is_done, list(job.records())) == (True, [])

    def test_one_alone_is_refused(self, small_config, tmp_path):
        run = stop_after(start(small_config(*VARIANTS), tmp_path, workers=1), 8)
        (variant, *_) = run.variant_folders()
        with pytest.raises(
            InputError, match=f"^{variant}: is a variant of a sweep; resume the whole sweep, {run.path}$"
        ):
            resume(variant)

    def test_problems_name_the_variant(self, small_config, tmp_path):
        config = small_config(*VARIANTS, "sweep.vary={training.schedule: [constant, cosine]}")
        run = sweep(config, runs_dir=tmp_path, workers=1)
        with pytest.raises(InputError, match=r"cannot be changed .* \(in the variant cosine\)$"):
            resume(run, ["training.epochs=9"])

    def test_more_epochs(self, small_config, tmp_path):
        run = sweep(small_config(*VARIANTS), runs_dir=tmp_path, workers=1)
        expected = sweep(small_config(*VARIANTS, "training.epochs=8"), runs_dir=tmp_path, workers=1)
        resume(run, ["training.epochs=8"])
        for (_, one), (_, other) in zip(run.variants(), expected.variants(), strict=True):
            assert results(one) == results(other)
        assert run.config_path.read_text() == expected.config_path.read_text()


class TestMoreEpochs:
    @pytest.mark.parametrize(
        "settings",
        [
            (),
            ("training.schedule={exponential: 0.9}",),
            ("training.schedule={step: {step_size: 2, gamma: 0.5}}",),
            ("training.schedule={piecewise: {rates: {0: 0.1, 4: 0.01, 8: 0.001}}}",),
            ("optimizer={adam: 0.01}",),
            ("framework=torch", "optimizer={adam: 0.01}"),
            VALIDATED,
            ("training.log_every=4",),
            (*STOPPING, "training.epochs=6"),
        ],
        ids=str,
    )
    def test_are_those_of_a_run_that_had_them(self, small_config, tmp_path, settings):
        run = sweep(small_config(*ROUNDS, *settings), runs_dir=tmp_path, workers=1, chunk=2)
        expected = sweep(small_config(*ROUNDS, *settings, "training.epochs=9"), runs_dir=tmp_path, workers=1)
        made = run.made_at
        assert results(resume(run, ["training.epochs=9"], workers=1)) == results(expected)
        assert run.made_at == made

    def test_of_a_run_that_was_stopped(self, small_config, tmp_path):
        run = stop_after(start(small_config(*ROUNDS), tmp_path, workers=1), 3)
        expected = sweep(small_config(*ROUNDS, "training.epochs=5"), runs_dir=tmp_path, workers=1)
        assert results(resume(run, ["training.epochs=5"], workers=1)) == results(expected)

    def test_from_none(self, small_config, tmp_path, expected):
        run = sweep(small_config(*ROUNDS, "training.epochs=0"), runs_dir=tmp_path)
        assert results(resume(run, ["training.epochs=6"], workers=1)) == expected

    def test_more_rounds(self, small_config, tmp_path):
        run = sweep(small_config(*ROUNDS), runs_dir=tmp_path, workers=1, chunk=2)
        expected = sweep(small_config(*ROUNDS, "sweep.rounds=8"), runs_dir=tmp_path, workers=1)
        assert results(resume(run, ["sweep.rounds=8"], workers=1)) == results(expected)

    def test_without_a_checkpoint_all_is_trained_again(self, small_config, tmp_path, finished):
        (finished.path / "checkpoint/0.checkpoint").unlink()
        expected = sweep(small_config(*ROUNDS, "training.epochs=9"), runs_dir=tmp_path, workers=1)
        assert results(resume(finished, ["training.epochs=9"], workers=1)) == results(expected)


@pytest.mark.parametrize("change", [(), ("training.epochs=9",), ("training.epochs=4",)])
def test_before_the_first_checkpoint(small_config, tmp_path, change):
    """Nothing of what is logged then comes of what the run goes on from."""
    settings = ("training.schedule=cosine", "training.epochs=6", "training.checkpoint_every=1000")
    run = stop_after(start(small_config(*settings), tmp_path, workers=1), 5)
    assert len(run.metrics_path.read_text().splitlines()) == 6
    expected = sweep(small_config(*settings, *change), runs_dir=tmp_path, workers=1)
    assert results(resume(run, change, workers=1)) == results(expected)


def test_stopped_between_config_and_summary(small_config, tmp_path):
    run = sweep(small_config(*ROUNDS), runs_dir=tmp_path, workers=1)
    shutil.rmtree(run.path / "checkpoint")
    (run.path / "curves.png").write_bytes(b"")
    kept = (run.path / "summary.json").read_bytes()
    start_again(run, ["training.epochs=9"])
    (run.path / "summary.json").write_bytes(kept)
    expected = sweep(small_config(*ROUNDS, "training.epochs=9"), runs_dir=tmp_path, workers=1)
    assert results(resume(run, workers=1)) == results(expected)


def test_figures_of_before_go(small_config, tmp_path):
    run = sweep(small_config("training.epochs=1"), runs_dir=tmp_path)
    for name in ("confusion.png", "confusion.csv", "curves.png", "mine.png"):
        (run.path / name).write_bytes(b"")
    resume(run, ["training.epochs=2"])
    assert [path.name for path in run.path.glob("*.png")] == ["mine.png"]
    assert not (run.path / "confusion.csv").exists()


class TestRefused:
    @pytest.mark.parametrize(
        ("settings", "change", "problem"),
        [
            ((), "training.batch_size=5", "training.batch_size: cannot be changed on resume"),
            ((), "name=b", "name: cannot be changed on resume"),
            ((), "seed=1", "seed: cannot be changed on resume"),
            ((), "sweep.rounds=4", "sweep.rounds: cannot be less than the 5 rounds that there are"),
            ((), "sweep.vary={seed: [1, 2]}", "sweep.vary: cannot be changed on resume"),
            ((), "loss=l1", "loss: cannot be changed on resume"),
            ((), "model.0.linear=8", "model.0.linear.out_features: cannot be changed on resume"),
            ((), "training.epochs=5", "training.epochs: cannot be less than the 6 that were trained already"),
            (("training.schedule=cosine",), "training.epochs=9", "the learning rates of the schedule cosine depend on"),
            ((*VALIDATED, "training.log_every=4"), "training.epochs=9", "epoch 6 was only validated because it was"),
        ],
    )
    def test_one_line_and_nothing_changes(self, small_config, tmp_path, settings, change, problem):
        run = sweep(small_config(*ROUNDS, *settings), runs_dir=tmp_path, workers=1)
        before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
        with pytest.raises(InputError) as caught:
            resume(run, [change])
        assert problem in str(caught.value)
        assert len(caught.value.problems) == 1
        assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
        assert not is_locked(run.path)

    def test_what_cannot_be_used_stays(self, small_config, tmp_path):
        run = sweep(small_config(*ROUNDS), runs_dir=tmp_path, workers=1, chunk=2)
        path = run.path / "checkpoint/2.checkpoint"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(InputError, match="cannot be less than the 6"):
            resume(run, ["training.epochs=5"])
        assert path.exists()

    def test_a_checkpoint_that_cannot_be_read_stays(self, stopped):
        path = stopped.path / "checkpoint/0.checkpoint"
        path.unlink()
        path.mkdir()
        with pytest.raises(InputError, match=r"0\.checkpoint: is a folder, not a file"):
            resume(stopped)
        assert path.exists()

    def test_all_at_once(self, finished):
        with pytest.raises(InputError) as caught:
            resume(finished, ["training.batch_size=5", "optimizer.sgd.lr=0.2", "training.epochs=9"])
        assert [problem.split(":")[0] for problem in caught.value.problems] == [
            "optimizer.sgd.lr",
            "training.batch_size",
        ]

    def test_a_run_that_is_being_trained(self, finished):
        path = finished.path
        with Lock(path), pytest.raises(InputError, match=f"^{path}: is being trained by another process$"):
            resume(finished)

    def test_somebody_who_only_looks_is_waited_for(self, finished):
        lock = Lock(finished.path)
        Timer(0.05, lock.close).start()
        resume(finished)

    def test_a_data_file_that_has_changed(self, tmp_path):
        table = tmp_path / "t.csv"
        table.write_text("a,kind\n" + "".join(f"{place**2},{'pq'[place % 2]}\n" for place in range(20)))
        (tmp_path / "c.yaml").write_text(
            "data: {table: {file: t.csv, target: kind}}\nmodel: [linear: 2]\nloss: cross_entropy\n"
            "optimizer: {sgd: 0.1}\n"
            "training: {epochs: 4, batch_size: 4, checkpoint_every: 0.0001}\n"
        )
        config = load_config(tmp_path / "c.yaml")
        run = stop_after(start(config, tmp_path), 2)
        kept = table.read_text()
        table.write_text(kept.replace("9,q", "8,q"))
        with pytest.raises(InputError, match=r"t\.csv: has changed since .* was trained on it"):
            resume(run)
        table.write_text(kept)
        assert results(resume(run)) == results(sweep(config, runs_dir=tmp_path))


class TestDamage:
    @pytest.mark.parametrize("end", [b"3,", b"3,2,0.1,0.2", b"\n", b"3,2,0.1,,,,,,\xc3"])
    def test_torn_last_line(self, stopped, expected, end):
        with stopped.metrics_path.open("ab") as file:
            file.write(end.lstrip(b"\n"))
        assert results(resume(stopped, workers=1)) == expected

    @pytest.mark.parametrize("kept", [0, 1, 5, 10])
    def test_lost_rows(self, stopped, expected, kept):
        lines = stopped.metrics_path.read_text().splitlines(keepends=True)
        stopped.metrics_path.write_text("".join(lines[:kept]))
        with pytest.warns(MinidlWarning, match=r"metrics\.csv lacks epochs before it; it is removed"):
            resume(stopped, workers=1)
        assert results(stopped) == expected

    def test_a_row_in_the_middle_of_a_single_round(self, small_config, tmp_path):
        config = small_config("training.epochs=6", *ROUNDS[2:])
        run = stop_after(start(config, tmp_path), 5)
        lines = run.metrics_path.read_text().splitlines(keepends=True)
        run.metrics_path.write_text("".join(lines[:2] + lines[3:]))
        with pytest.warns(MinidlWarning, match="lacks epochs"):
            resume(run)
        assert results(run) == results(sweep(config, runs_dir=tmp_path))

    def test_lost_table(self, stopped, expected):
        stopped.metrics_path.unlink()
        with pytest.warns(MinidlWarning, match="lacks epochs"):
            resume(stopped, workers=1)
        assert results(stopped) == expected

    @pytest.mark.parametrize(
        ("old", "new"),
        [("seed,epoch", "seed,epocs"), ("\n0,1,", "\n0,2,"), ("\n0,1,", "\nzero,1,"), ("\n0,1,", "\n\n0,1,")],
    )
    def test_damaged_table(self, stopped, old, new):
        stopped.metrics_path.write_text(stopped.metrics_path.read_text().replace(old, new, 1))
        with pytest.raises(InputError, match=r"metrics\.csv: cannot be read: .*; without this file, all rounds are"):
            resume(stopped, workers=1)

    @pytest.mark.parametrize(
        "damage",
        [
            lambda content: b"",
            lambda content: content[:-1],
            lambda content: content + b"\0",
            lambda content: bytes([content[0] ^ 1]) + content[1:],
            lambda content: content[:500] + bytes([content[500] ^ 128]) + content[501:],
            lambda content: content[:-1] + bytes([content[-1] ^ 4]),
        ],
    )
    def test_damaged_checkpoint(self, stopped, expected, damage):
        path = stopped.path / "checkpoint/0.checkpoint"
        path.write_bytes(damage(path.read_bytes()))
        with pytest.warns(MinidlWarning, match=r"0\.checkpoint: cannot be used \(.*\); it is removed, and"):
            resume(stopped, workers=1)
        assert results(stopped) == expected

    def test_checkpoint_of_other_rounds(self, stopped, expected):
        path = stopped.path / "checkpoint/3.checkpoint"
        path.write_bytes((stopped.path / "checkpoint/0.checkpoint").read_bytes())
        with pytest.warns(MinidlWarning, match=r"3\.checkpoint: cannot be used \(it is of other rounds\)"):
            resume(stopped, workers=1)
        assert results(stopped) == expected

    def test_results_that_were_half_written(self, stopped, expected):
        stopped.write_rounds([{"seed": 0}])
        (stopped.path / "weights").mkdir()
        (stopped.path / "weights/last.safetensors").write_bytes(b"half")
        (stopped.path / ".summary.json.0123abcd.tmp").write_text("{")
        assert results(resume(stopped, workers=1)) == expected
        assert not list(stopped.path.rglob(".*"))

    def test_links_are_not_written_through(self, stopped, tmp_path):
        kept = tmp_path / "kept.csv"
        stopped.metrics_path.rename(kept)
        before = kept.read_bytes()
        stopped.metrics_path.symlink_to(kept)
        with pytest.raises(InputError, match=r"metrics\.csv: is a link"):
            resume(stopped)
        assert kept.read_bytes() == before


class TestFinished:
    def test_changes_nothing(self, finished):
        run = finished
        (run.path / "curves.png").write_bytes(b"")  # which is drawn last
        before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
        job = start_again(run)
        assert job.is_done
        assert (job.done, list(job.records())) == (job.epochs, [])
        assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before

    def test_without_its_last_figure_it_is_completed(self, finished, expected, monkeypatch):
        drawn = []
        monkeypatch.setattr("minidl_cli.sweeps.drawing.draw_figures", lambda run, *_: drawn.append(run))
        assert results(resume(finished)) == expected
        assert drawn == [finished]

    def test_a_run_whose_rounds_all_diverged(self, small_config, tmp_path):
        with pytest.raises(TrainingError, match="every round diverged"):
            sweep(small_config(*DIVERGING, "seed=2"), runs_dir=tmp_path)
        (run,) = Run.all(tmp_path)
        (run.path / "curves.png").write_bytes(b"")
        with pytest.raises(TrainingError, match="every round diverged"):
            resume(run)


@pytest.mark.usefixtures("forked_workers")
class TestFailed:
    def test_the_others_are_as_ever_and_these_are_tried_again(self, small_config, tmp_path, monkeypatch):
        config = small_config(*ROUNDS, "sweep.rounds=3")
        expected = sweep(config, runs_dir=tmp_path, workers=1)
        with monkeypatch.context() as patched:
            patched.setattr(workers, "work", dying.of_the_last_round)
            patched.setattr(workers, "TRIES", 2)
            run = sweep(config, runs_dir=tmp_path, workers=2, chunk=1)
        found = run.summary()["rounds"]
        assert (found["finished"], found["failed"], found["failed_seeds"]) == (2, 1, [2])
        assert found["failures"] == [{"seeds": [2], "reason": "their worker ended with exit code 7, 2 times"}]
        assert run.round_rows()[:2] == expected.round_rows()[:2]
        for name, values in expected.weights().items():
            assert values[:2].equal(run.weights()[name][:2])
            assert run.weights()[name][2:].isnan().all()
        assert results(resume(run, workers=1)) == results(expected)

    def test_all_rounds_are_tried_again(self, small_config, tmp_path, expected, monkeypatch):
        config = small_config(*ROUNDS)
        with monkeypatch.context() as patched:
            patched.setattr(workers, "work", dying.at_work)
            with pytest.raises(TrainingError, match="no round finished"):
                sweep(config, runs_dir=tmp_path, workers=2)
        (run,) = Run.all(tmp_path)
        (run.path / "curves.png").write_bytes(b"")
        assert results(resume(run, workers=1)) == expected


def test_steps_stay_as_they_were(small_config, tmp_path, monkeypatch):
    """What could not be compiled when the run began is not compiled when it goes on."""
    config = small_config(*ROUNDS)

    def find_none():
        raise CompilationError("there is no compiler")

    with monkeypatch.context() as patched:
        patched.setattr("minidl_cli.training.compiled.find_compiler", find_none)
        run = stop_after(start(config, tmp_path, workers=1), 3)
        expected = results(sweep(config, runs_dir=tmp_path, workers=1))
    assert results(resume(run, workers=1)) == expected
    assert expected[0] != results(sweep(config, runs_dir=tmp_path, workers=1))[0]


@pytest.mark.parametrize("is_finished", [True, False])
@pytest.mark.parametrize(("old", "new"), [("lr: 0.1", "lr: 0.2"), ("rounds: 5", "rounds: 4")])
def test_a_config_that_was_edited_is_refused(finished, stopped, expected, is_finished, old, new):
    run = finished if is_finished else stopped
    text = run.config_path.read_text()
    run.config_path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=r"config\.yaml: has changed since the rounds were trained; put it back"):
        resume(run)
    run.config_path.write_text(text)
    assert results(resume(run)) == expected


def test_fewer_epochs_in_an_edited_config_are_refused(finished):
    run = finished
    run.config_path.write_text(run.config_path.read_text().replace("epochs: 6", "epochs: 5"))
    with pytest.raises(InputError, match="cannot be less than the 6 that were trained already"):
        resume(run)


@pytest.mark.parametrize("lost", ["weights/last.safetensors", "rounds.csv", "metrics.csv", "columns.json", "cut"])
def test_results_that_were_lost_come_again(finished, lost):
    run = finished
    (run.path / "curves.png").write_bytes(b"")
    expected, columns = results(run), run.columns()
    weights = run.path / "weights/last.safetensors"
    if lost == "cut":
        weights.write_bytes(weights.read_bytes()[:-1])
    else:
        (run.path / lost).unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MinidlWarning)
        resume(run, workers=1)
    assert (results(run), run.columns()) == (expected, columns)


def test_other_versions_are_told(stopped):
    run = stopped
    found = run.environment()
    run.write_json("environment.json", found | {"packages": found["packages"] | {"torch": "1.0"}})
    with pytest.warns(MinidlWarning, match=r"torch was 1\.0, and is .*: the last digits may differ"):
        resume(run, workers=1)
    assert run.environment()["resumed"][0]["packages"] == found["packages"]
