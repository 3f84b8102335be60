"""A run that is trained for longer is to the bit one that was to last so long from the start."""

import json
import signal
from functools import partial
from pathlib import Path

import pytest

from minidl_cli import resume
from tests.faults.cases import Case
from tests.faults.comparing import assert_same_results, contents, rows
from tests.faults.dying import signal_in_epoch
from tests.faults.training import Training

pytestmark = pytest.mark.usefixtures("no_figures")

FEW, MANY = "training.epochs=6", "training.epochs=11"
DOES_NOT_DEPEND_ON_THE_END = {
    "constant": "constant",
    "step": "{step: {step_size: 4}}",
    "exponential": "{exponential: 0.9}",
    "piecewise": "{piecewise: {0: 0.1, 8: 0.01}}",
}


@pytest.fixture
def sweep(minidl, tmp_path):
    """Trains the small config with settings, or resumes a run, and returns the run folder."""

    def run(*settings, resumed=None):
        options = [word for setting in settings for word in ("-s", setting)]
        what = ["--resume", resumed] if resumed else Case().arguments(tmp_path)
        outcome = minidl("sweep", *what, *options, "--workers", "1", "-q")
        assert outcome.code == 0, outcome.err
        return Path(outcome.out.strip())

    return run


@pytest.mark.parametrize("schedule", DOES_NOT_DEPEND_ON_THE_END)
def test_epochs_are_added_to_a_finished_run(sweep, schedule):
    schedule = f"training.schedule={DOES_NOT_DEPEND_ON_THE_END[schedule]}"
    run = sweep(schedule, FEW)
    assert sweep(MANY, resumed=run) == run
    assert_same_results(run, sweep(schedule, MANY))


@pytest.mark.parametrize(
    "settings",
    [
        ["optimizer={adam: {lr: 0.01, amsgrad: true}}", "model.1={dropout: 0.2}"],
        ["training.validation=0.3", "training.early_stopping={patience: 3}", "model.1=batch_norm"],
        ["framework=torch", "sweep.rounds=2"],
        ["training.log_every=4"],  # the sixth epoch is logged as the last one, and is not any more
        ["data_seed=round", "training.compiled=never"],
        ["sweep.vary={optimizer.sgd.lr: [0.1, 0.01]}"],
    ],
)
def test_epochs_are_added_whatever_is_trained(sweep, settings):
    run = sweep(*settings, FEW)
    sweep(MANY, resumed=run)
    assert_same_results(run, sweep(*settings, MANY))


def test_epochs_are_added_to_an_interrupted_run(processes, sweep):
    training = Training(processes, Case("training.epochs=300"), "runs")
    process = training.go_on("--workers", "1", prepare=partial(signal_in_epoch, signal.SIGTERM, 0, 200))
    assert process.wait() == 128 + signal.SIGTERM
    sweep("training.epochs=350", resumed=training.run)
    assert_same_results(training.run, sweep("training.epochs=350"))


def test_interrupted_run_ends_sooner(processes, sweep):
    training = Training(processes, Case("training.epochs=300", "sweep.rounds=1"), "runs")
    process = training.go_on("--workers", "1", prepare=partial(signal_in_epoch, signal.SIGTERM, 0, 200))
    assert process.wait() == 128 + signal.SIGTERM
    sweep("training.epochs=250", resumed=training.run)
    assert_same_results(training.run, sweep("training.epochs=250", "sweep.rounds=1"))


def test_rounds_are_added(sweep):
    run = sweep(FEW)
    sweep("sweep.rounds=5", MANY, resumed=run)
    assert_same_results(run, sweep(MANY, "sweep.rounds=5"))


def test_targets_are_changed(sweep):
    run = sweep(FEW)
    sweep("sweep.target={test_accuracy: 0.9}", resumed=run)
    assert_same_results(run, sweep(FEW, "sweep.target={test_accuracy: 0.9}"))


def test_in_python(sweep):
    run = sweep(FEW)
    assert resume(run, [MANY]).path == run
    assert_same_results(run, sweep(MANY))


class TestRefused:
    @pytest.fixture
    def refused(self, minidl, sweep):
        """Resumes a run with settings that are refused, checks that nothing has changed, and returns the lines."""

        def refuse(run, *settings):
            before = contents(run), rows(run)
            outcome = minidl("sweep", "--resume", run, *(word for setting in settings for word in ("-s", setting)))
            assert (outcome.code, outcome.out) == (2, "")
            assert (contents(run), rows(run)) == before
            assert (run / "summary.json").exists()
            return outcome.err.splitlines()

        return refuse

    def test_more_epochs_where_the_schedule_depends_on_the_last(self, sweep, refused):
        (line,) = refused(sweep("training.schedule=cosine", FEW), MANY)
        assert "training.epochs: cannot be changed on resume: the learning rates of the schedule cosine" in line

    def test_more_epochs_where_the_last_one_was_validated_only_as_such(self, sweep, refused):
        (line,) = refused(sweep("training.validation=0.3", "training.log_every=4", FEW), MANY)
        assert "training.epochs: cannot be changed on resume" in line

    def test_fewer_epochs_than_were_trained(self, sweep, refused):
        (line,) = refused(sweep(MANY), FEW)
        assert line.endswith("training.epochs: cannot be less than the 11 that were trained already")

    def test_fewer_rounds(self, sweep, refused):
        (line,) = refused(sweep(FEW), "sweep.rounds=2")
        assert line.endswith("sweep.rounds: cannot be less than the 3 rounds that there are")

    @pytest.mark.parametrize(
        "setting",
        [
            "training.batch_size=9",
            "training.shuffle=false",
            "training.log_every=2",
            "training.compiled=never",
            "optimizer.sgd.lr=0.2",
            "model.0.linear.out_features=8",
            "data.disc.train=48",
            "data_seed=1",
            "seed=1",
            "loss=l1",
            "init=zeros",
            "framework=torch",
            "name=other",
            "sweep.vary={seed: [1, 2]}",
        ],
    )
    def test_what_the_numbers_depend_on(self, sweep, refused, setting):
        key, _, _ = setting.partition("=")
        for line in refused(sweep(FEW), setting):
            assert line.startswith(key)
            assert "cannot be changed on resume" in line

    def test_all_at_once(self, sweep, refused):
        lines = refused(sweep(FEW), "training.batch_size=9", "seed=1", MANY)
        assert [line.split(":")[0] for line in lines] == ["seed", "training.batch_size"]


@pytest.mark.parametrize("verb", ["train", "sweep"])
def test_finished_run_says_so(minidl, sweep, verb):
    run = sweep(FEW)
    (run / "curves.png").touch()  # the last figure, which is not drawn here
    before = contents(run), rows(run), (run / "environment.json").read_bytes()
    outcome = minidl(verb, "--resume", run, "--json")
    assert outcome.code == 0
    assert outcome.err.startswith(f"{run}: has finished already")
    assert json.loads(outcome.out) == {"run": str(run), **json.loads((run / "summary.json").read_text())}
    assert (contents(run), rows(run), (run / "environment.json").read_bytes()) == before
