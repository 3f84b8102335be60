"""Where a run computes: what `auto` stands for, and where a run goes on that was stopped."""

from contextlib import closing

import pytest

from minidl_cli import resume, sweep
from minidl_cli.errors import CompilationError, InputError, MinidlWarning
from minidl_cli.sweeps import plan as planning
from minidl_cli.sweeps import timetable
from minidl_cli.sweeps.resume import start_again
from minidl_cli.sweeps.sweep import start
from minidl_cli.sweeps.workers import Workers
from minidl_cli.training.compiled import CompiledStep

pytestmark = pytest.mark.usefixtures("no_figures")

LITTLE = ("training.epochs=100",)
MUCH = (*LITTLE, "sweep.rounds=100", "training.batch_size=47", "model.0.linear=1000", "model.2.linear=1000")
MUCH_TOGETHER = (*LITTLE, "sweep.rounds=100", "training.batch_size=47", "model.0.linear=300")
VARIANTS = f"sweep.vary={{optimizer.sgd.lr: {[place / 1000 for place in range(1, 41)]}}}"


def refuse(engine, workers, device):
    raise InputError(f"asked for {device}")


class Refusing(Workers):
    """An engine that only tells which device it is asked for."""

    capacity = refuse

    def __init__(self, *, has_cuda=True):
        super().__init__()
        self._has_cuda = has_cuda

    def has_cuda(self, workers):
        return self._has_cuda


class TestAuto:
    @pytest.fixture(autouse=True)
    def _four_cores(self, monkeypatch):
        monkeypatch.setattr(planning, "default_workers", lambda: 4)

    @pytest.mark.parametrize(
        ("settings", "has_cuda", "expected"), [(MUCH, True, "cuda"), (MUCH, False, "cpu"), (LITTLE, True, "cpu")]
    )
    def test_it_is_the_gpu_where_there_is_one_and_much_to_do(
        self, small_config, tmp_path, settings, has_cuda, expected
    ):
        """The engine knows whether there is one: it is not this machine that trains, maybe."""
        config = small_config(*settings)
        with pytest.raises(InputError, match=f"^asked for {expected}$"):
            sweep(config, runs_dir=tmp_path, device="auto", engine=Refusing(has_cuda=has_cuda))
        run = start(config, tmp_path, workers=1).run
        with pytest.raises(InputError, match=f"^asked for {expected}$"):
            resume(run, device="auto", engine=Refusing(has_cuda=has_cuda))

    @pytest.mark.parametrize(("settings", "expected"), [((), "cpu"), ((VARIANTS,), "cuda")], ids=["one", "variants"])
    def test_variants_are_taken_together(self, small_config, tmp_path, settings, expected):
        config = small_config(*MUCH_TOGETHER, *settings)
        with pytest.raises(InputError, match=f"^asked for {expected}$"):
            sweep(config, runs_dir=tmp_path, device="auto", engine=Refusing())

    @pytest.mark.parametrize(("settings", "expected"), [(MUCH, "cuda"), (LITTLE, "cpu")])
    def test_as_an_option(self, minidl, small_file, monkeypatch, settings, expected):
        monkeypatch.setattr(Workers, "has_cuda", lambda engine, workers: True)
        monkeypatch.setattr(Workers, "capacity", refuse)
        options = [word for setting in settings for word in ("-s", setting)]
        outcome = minidl("sweep", small_file, "--device", "auto", *options)
        assert outcome.code == 2
        assert outcome.err.strip().endswith(f"asked for {expected}")


def find_none():
    raise CompilationError("there is no C compiler")


class TestGoingOn:
    @pytest.fixture
    def begun_on(self, small_config, tmp_path, monkeypatch):
        """Returns a run of one round on some device, by PyTorch's operations, stopped after an epoch.

        It was on the CPU in truth.
        """
        monkeypatch.setattr(timetable, "COSTS_BETWEEN", 0)

        def begun_on(device, *settings):
            with monkeypatch.context() as patched:
                patched.setattr("minidl_cli.training.compiled.find_compiler", find_none)
                job = start(small_config("training.checkpoint_every=0.0001", *settings), tmp_path, workers=1)
                with closing(job.records()) as records:
                    assert [next(records).epoch for _ in range(2)] == [1, 2]
            found = job.run.environment()
            assert (found.pop("device"), found["steps"]) == ("cpu", "PyTorch's operations (there is no C compiler)")
            job.run.write_json("environment.json", found | ({"device": device} if device else {}))
            return job.run

        return begun_on

    @pytest.mark.parametrize(
        ("begun", "expected"), [("cpu", "cpu"), ("cuda", "cuda"), ("cuda:1", "cuda:1"), (None, "cpu")]
    )
    def test_a_run_stays_where_it_was(self, begun_on, begun, expected):
        """Runs that are older than devices do not say where that was."""
        run = begun_on(begun)
        with pytest.raises(InputError, match=f"^asked for {expected}$"):
            resume(run, engine=Refusing())
        with pytest.raises(InputError, match=r"^asked for cuda:3$"):
            resume(run, device="cuda:3", engine=Refusing())

    def test_steps_stay_as_they_were_on_the_same_device(self, begun_on):
        job = start_again(begun_on("cpu"))
        assert job.planned.trainers.step == "PyTorch's operations (there is no C compiler)"

    def test_stacks_are_planned_for_these_steps(self, begun_on, monkeypatch):
        """Compiled steps would take all rounds as one."""
        monkeypatch.setattr(planning, "STACK_BYTES", 1)
        run = begun_on("cpu", "sweep.rounds=3")
        assert [len(chunk) for chunk in start_again(run, workers=1).planned.plan.chunks] == [1, 1, 1]

    def test_on_another_device_they_are_as_they_can_be(self, begun_on):
        with pytest.warns(
            MinidlWarning, match=r"device was cuda, and is cpu; steps was PyTorch's operations \(.*: the"
        ):
            job = start_again(begun_on("cuda"), device="cpu")
        assert isinstance(job.planned.trainers.step, CompiledStep)
