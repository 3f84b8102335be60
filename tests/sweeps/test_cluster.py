"""Sweeps on a Dask cluster, whose workers are threads of this process; tests/cluster has real ones."""

import re
import signal
import warnings
from concurrent.futures import CancelledError
from contextlib import closing, contextmanager
from dataclasses import replace
from tempfile import TemporaryDirectory
from threading import Timer

import dask
import pytest
from distributed import Client, LocalCluster
from distributed.comm import CommClosedError

from minidl_cli import resume, sweep
from minidl_cli.errors import InputError, MinidlWarning, TrainingError
from minidl_cli.interrupts import Interrupted
from minidl_cli.sweeps.cluster import cluster, connection, legs, relay
from minidl_cli.sweeps.cluster.cluster import Cluster
from minidl_cli.sweeps.cluster.connection import check_workers
from minidl_cli.sweeps.cluster.legs import Facts, Leg
from minidl_cli.sweeps.sweep import start
from minidl_cli.training.trainer import Trainer
from tests.sweeps.contents import results
from tests.training.rounds import STOPPING

pytestmark = pytest.mark.usefixtures("no_figures")

ROUNDS = ("sweep.rounds=5", "training.epochs=6")
SLOW = (*ROUNDS, "training.compiled=never")


@contextmanager
def threads(workers=2):
    """A cluster of threads."""
    with (
        connection._quiet(),
        TemporaryDirectory() as folder,
        dask.config.set({"temporary-directory": folder}),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=False,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            local_directory=folder,
            silence_logs=connection.SILENT,
        ) as started,
        Client(started, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def client():
    with threads() as client:
        yield client


def use(client, monkeypatch):
    """Make engines connect to a cluster that there is, for the shortest legs that there can be."""

    @contextmanager
    def connected(workers):
        yield client

    monkeypatch.setattr(cluster, "connect_locally", connected)
    monkeypatch.setattr(relay, "SHORTEST_LEG", 0.0)
    monkeypatch.setattr(relay, "COSTS_BETWEEN", 0)


@pytest.fixture
def engine(client, monkeypatch):
    """Returns engines of the cluster."""

    use(client, monkeypatch)
    return Cluster


@pytest.mark.parametrize(
    "settings",
    [(), ("training.compiled=never",), ("framework=torch", "sweep.rounds=2"), ("data_seed=round",), STOPPING],
    ids=str,
)
def test_the_same_run(small_config, tmp_path, engine, settings):
    config = small_config(*ROUNDS, *settings)
    expected = results(sweep(config, runs_dir=tmp_path, workers=1))
    assert results(sweep(config, runs_dir=tmp_path, chunk=2, engine=engine())) == expected


def test_tables_travel(small_config, tmp_path, engine):
    """Workers on other machines have no file."""
    table = tmp_path / "table.csv"
    table.write_text("a,b,kind\n" + "".join(f"{n % 7},{n * n % 11},{'xy'[n % 3 == 0]}\n" for n in range(60)))
    config = small_config(*ROUNDS, f"data={{table: {{file: {table}, target: kind}}}}")
    expected = results(sweep(config, runs_dir=tmp_path, workers=1))
    job = start(config, tmp_path, engine=engine())
    content = table.read_bytes()
    table.unlink()
    with closing(job.records()) as records:
        first = next(records)
    assert first.epoch == 1
    table.write_bytes(content)
    assert results(resume(job.run, engine=engine())) == expected


def test_variants(small_config, tmp_path, engine):
    config = small_config(*ROUNDS, "sweep.vary={training.batch_size: [10, 20]}")
    expected = sweep(config, runs_dir=tmp_path, workers=1)
    found = sweep(config, runs_dir=tmp_path, engine=engine())
    assert [results(one) for _, one in found.variants()] == [results(one) for _, one in expected.variants()]


def test_what_the_folder_says_of_the_cluster(small_config, tmp_path, engine):
    environment = sweep(small_config(), runs_dir=tmp_path, engine=engine()).environment()
    assert environment["engine"] == "dask"
    assert len(environment["cluster"]) == 2
    for each in environment["cluster"].values():
        assert re.fullmatch(rf"{re.escape(environment['minidl'])}\+[0-9a-f]{{8}}", each["minidl"])


@pytest.mark.parametrize("records", [1, 9, 20])
def test_stopped_and_resumed_with_this_engine_or_the_other(small_config, tmp_path, engine, records):
    config = small_config(*ROUNDS, "training.checkpoint_every=0.0001")
    expected = results(sweep(config, runs_dir=tmp_path, workers=1))
    for first, second in [(engine, lambda: None), (lambda: None, engine)]:
        job = start(config, tmp_path, workers=1, chunk=2, engine=first())
        with closing(job.records()) as events:
            for _, _ in zip(range(records), events, strict=False):
                pass
        assert results(resume(job.run, engine=second())) == expected


def test_a_signal_stops_the_workers(small_config, tmp_path, engine, monkeypatch):
    """What they were at is kept, though no checkpoint was due."""
    config = small_config(*SLOW)
    expected = results(sweep(config, runs_dir=tmp_path, workers=1))
    job = start(config, tmp_path, workers=1, chunk=5, engine=engine())
    monkeypatch.setattr(relay, "SHORTEST_LEG", 60.0)
    train = Trainer._train

    def signalled(trainer, lr):
        metrics = train(trainer, lr)
        if trainer.epoch == 3:
            monkeypatch.setattr(Interrupted, "_came", signal.SIGTERM)
        while trainer.epoch == 3 and not legs._AtWork.stopped:
            pass
        return metrics

    monkeypatch.setattr(Trainer, "_train", signalled)
    monkeypatch.setattr(legs._AtWork, "stopped", set())
    with pytest.raises(Interrupted):
        list(job.records())
    monkeypatch.setattr(Interrupted, "_came", None)
    assert "0,3," in job.run.metrics_path.read_text()
    assert "0,4," not in job.run.metrics_path.read_text()
    begun = []
    monkeypatch.setattr(Trainer, "_train", lambda trainer, lr: (begun.append(trainer.epoch), train(trainer, lr))[1])
    assert results(resume(job.run, engine=engine())) == expected
    assert min(begun) == 4


def fail_within(monkeypatch, seed, error, times=10**6):
    """Raise an error within the second epoch of a round, so many times."""
    train, left = Trainer._train, [times]

    def failing(trainer, lr):
        if trainer.epoch == 2 and seed in trainer.stack and left[0]:
            left[0] -= 1
            raise error
        return train(trainer, lr)

    monkeypatch.setattr(Trainer, "_train", failing)


def test_a_chunk_that_lacks_memory_is_tried_again(small_config, tmp_path, engine, monkeypatch):
    config = small_config(*SLOW)
    expected = results(sweep(config, runs_dir=tmp_path, workers=1))
    fail_within(monkeypatch, 2, MemoryError(), times=1)
    assert results(sweep(config, runs_dir=tmp_path, chunk=1, engine=engine())) == expected


def test_a_chunk_that_always_lacks_memory_fails_alone(small_config, tmp_path, engine, monkeypatch):
    fail_within(monkeypatch, 2, MemoryError())
    run = sweep(small_config(*SLOW), runs_dir=tmp_path, chunk=2, engine=engine())
    rounds = run.summary()["rounds"]
    assert rounds["failed_seeds"] == [2, 3]
    assert rounds["failures"] == [
        {"seeds": [2, 3], "reason": "their worker ran out of memory, with nothing else at work"}
    ]
    assert [status for _, status in run.rounds()] == ["finished", "finished", "failed", "failed", "finished"]


def test_other_errors_end_the_sweep(small_config, tmp_path, engine, monkeypatch):
    fail_within(monkeypatch, 2, TrainingError("a wheel came off"))
    with pytest.raises(TrainingError, match="a wheel came off"):
        sweep(small_config(*SLOW), runs_dir=tmp_path, chunk=2, engine=engine())


def test_suspects_are_tried_alone(small_config, tmp_path, engine, monkeypatch):
    """Those that are innocent go on then, and whatever fails alone is guilty."""
    config = small_config(*SLOW, "training.epochs=4")
    expected = results(sweep(config, runs_dir=tmp_path, workers=1))
    most, settle = [], relay.Relay._settle

    def watch(self, course, leg):
        most.append((course.chunk[0], course.is_suspect, len(self._at_work)))
        return settle(self, course, leg)

    monkeypatch.setattr(relay.Relay, "_settle", watch)
    train, left = Trainer._train, {0: 1, 2: 1, 4: 2}

    def failing(trainer, lr):
        if trainer.epoch == 2 and left.get(trainer.stack[0]):
            left[trainer.stack[0]] -= 1
            raise CancelledError
        return train(trainer, lr)

    monkeypatch.setattr(Trainer, "_train", failing)
    monkeypatch.setattr(legs, "_fit_to_be_sent", lambda error: error)
    run = sweep(config, runs_dir=tmp_path, chunk=2, engine=engine())
    assert [others for _, is_suspect, others in most if is_suspect] == [0, 0, 0]
    assert {chunk for chunk, is_suspect, _ in most if is_suspect} == {0, 2, 4}
    (failure,) = run.summary()["rounds"]["failures"]
    assert failure == {"seeds": [4], "reason": "their worker was lost, with nothing else at work"}
    monkeypatch.setattr(Trainer, "_train", train)
    assert results(resume(run, engine=engine())) == expected


def without_data(chunk, train=relay.train_leg):
    """Return what trains legs, but for those of a chunk, whose workers have no data."""
    return lambda name, seeds, *others: (
        Leg(without_data="inproc://new") if seeds[0] == chunk else train(name, seeds, *others)
    )


def test_a_chunk_whose_workers_are_new_again_and_again_fails(small_config, tmp_path, engine, monkeypatch):
    """It kills them: those that come in their place have no data."""
    monkeypatch.setattr(relay, "train_leg", without_data(2))
    equip = relay.Relay._equip_workers
    monkeypatch.setattr(relay.Relay, "_equip_workers", lambda self, *lacking: (equip(self), True)[1])
    run = sweep(small_config(*ROUNDS), runs_dir=tmp_path, chunk=2, engine=engine())
    (failure,) = run.summary()["rounds"]["failures"]
    assert failure == {"seeds": [2, 3], "reason": "their worker died, 3 times, with nothing else at work"}
    assert run.summary()["rounds"]["finished"] == 3


def test_a_chunk_is_not_blamed_for_workers_that_come_later(small_config, tmp_path, engine, monkeypatch):
    config, equip, handed = small_config(*ROUNDS), relay.Relay._equip_workers, []
    expected = results(sweep(config, runs_dir=tmp_path, workers=1))

    def equip_ever_later(self, *lacking):
        handed.append(equip(self))
        if len(handed) > 12:
            monkeypatch.setattr(relay, "train_leg", legs.train_leg)
        return handed[-1]

    monkeypatch.setattr(relay.Relay, "_equip_workers", equip_ever_later)
    monkeypatch.setattr(relay, "train_leg", without_data(2))
    assert results(sweep(config, runs_dir=tmp_path, chunk=2, engine=engine())) == expected
    assert not any(handed)


def test_workers_that_come_later_are_checked(small_config, tmp_path, monkeypatch):
    with threads(1) as growing:
        use(growing, monkeypatch)
        job = start(small_config(*ROUNDS, "training.epochs=300"), tmp_path, chunk=1, engine=Cluster())
        with closing(job.records()) as records:
            next(records)
            monkeypatch.setattr(Facts, "here", classmethod(lambda cls, device="cpu": replace(OWN, minidl="0.0")))
            monkeypatch.setattr(connection, "check_workers", lambda found, own: check_workers(found, OWN))
            growing.cluster.scale(2)
            growing.wait_for_workers(2)
            legs._trainers.clear()  # which these workers share
            with pytest.raises(TrainingError, match=r"^worker inproc://.*: has minidl 0.0 \(here 1.0\); install"):
                list(records)


def begin_with_one_that_nobody_asked(small_config, tmp_path, engine):
    """Return a job on a cluster, one of whose workers has come after the others were asked."""
    used = engine()
    job = start(small_config(*ROUNDS), tmp_path, chunk=1, engine=used)
    used._facts.popitem()
    return job


@pytest.mark.parametrize(
    ("lack", "problem"),
    [
        ({"minidl": "0.0"}, r"^worker inproc://.*: has minidl 0.0 \(here .*\); install"),
        ({"compiler": None}, r"^worker inproc://.*: has no C compiler, as the others have"),
    ],
    ids=["version", "compiler"],
)
def test_workers_that_come_before_training_are_checked(small_config, tmp_path, engine, monkeypatch, lack, problem):
    job, own = begin_with_one_that_nobody_asked(small_config, tmp_path, engine), Facts.here()
    monkeypatch.setattr(Facts, "here", classmethod(lambda cls, device="cpu": replace(own, **lack)))
    monkeypatch.setattr(connection, "check_workers", lambda found, _: check_workers(found, own))
    with pytest.raises(TrainingError, match=problem):
        list(job.records())


def test_workers_that_are_gone_before_they_answer_are_nobody(client):
    gone = f"{client.scheduler.address.rpartition('/')[0]}/999999"
    with dask.config.set({"distributed.comm.timeouts.connect": "100ms"}):
        assert connection.ask_workers(client, "cpu", [gone]) == {}


def test_a_worker_that_cannot_take_the_data_is_named(small_config, tmp_path, engine, monkeypatch):
    def without_room(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(relay, "hand_out", without_room)
    with pytest.raises(TrainingError, match=r"^worker inproc://.*: cannot take the data: MemoryError: no room"):
        sweep(small_config(*ROUNDS), runs_dir=tmp_path, engine=engine())


def test_rows_come_before_the_checkpoint_that_needs_them(small_config, tmp_path, engine, monkeypatch):
    """Also if the scheduler is lost while the next leg is submitted."""
    config = small_config(*ROUNDS, "training.checkpoint_every=0.0001")
    expected = results(sweep(config, runs_dir=tmp_path, workers=1))
    submit, legs_submitted = relay.Relay._submit, []

    def lost(self, course):
        legs_submitted.append(course)
        if len(legs_submitted) == 8:
            raise TrainingError("lost")
        submit(self, course)

    monkeypatch.setattr(relay.Relay, "_submit", lost)
    job = start(config, tmp_path, chunk=3, engine=engine())
    with pytest.raises(TrainingError, match="lost"):
        list(job.records())
    monkeypatch.setattr(relay.Relay, "_submit", submit)
    assert results(resume(job.run, engine=engine())) == expected  # without a warning of checkpoints without rows


@pytest.mark.parametrize("error", [CommClosedError("closed"), TimeoutError()], ids=repr)
def test_errors_of_the_network_are_those_of_the_connection(small_config, tmp_path, engine, monkeypatch, error):
    monkeypatch.setattr(relay, "train_leg", lambda *_: Leg(error=error))
    with pytest.raises(TrainingError, match=r"^the connection to .* is lost; what was finished is kept$"):
        sweep(small_config(), runs_dir=tmp_path, engine=engine())


def test_a_scheduler_that_is_lost_ends_the_sweep(small_config, tmp_path, monkeypatch):
    with threads(1) as lost:
        use(lost, monkeypatch)
        job = start(small_config(*ROUNDS, "training.epochs=300"), tmp_path, engine=Cluster())
        with closing(job.records()) as records:
            next(records)
            lost.cluster.close()
            with pytest.raises(TrainingError, match=r"^the connection to .* is lost; what was finished is kept$"):
                list(records)
        assert list((job.run.path / "checkpoint").iterdir())


def test_no_worker_is_left(small_config, tmp_path, monkeypatch):
    with threads(1) as few:
        use(few, monkeypatch)
        monkeypatch.setattr(relay, "SILENCE_SECONDS", 0.1)
        job = start(small_config("training.epochs=300"), tmp_path, engine=Cluster())
        with closing(job.records()) as records, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            next(records)
            few.sync(few.cluster.workers[0].close)
            Timer(0.5, few.cluster.close).start()
            with pytest.raises(TrainingError, match="is lost"):
                list(records)
    assert [str(each.message) for each in caught if each.category is MinidlWarning] == [
        "no worker is left in the cluster; waiting for one"
    ]


OWN = Facts("1.0", "2.13.0", "3.11", "cc 12", "a processor", True, 2**34)


def test_workers_of_the_same_versions_pass():
    other = replace(OWN, compiler=None, target="", memory=2**33, gpu="a GPU", gpu_memory=5)
    assert check_workers({"tls://b:1": OWN, "tls://a:1": other}, OWN) == {"tls://a:1": other, "tls://b:1": OWN}


def test_workers_of_inexact_products_are_named():
    with pytest.warns(MinidlWarning, match=r"^worker tls://a:1: matrix products give a round other last digits"):
        check_workers({"tls://a:1": replace(OWN, is_exact=False)}, OWN)


def test_workers_of_other_versions_are_named():
    found = {
        "tls://c:1": ModuleNotFoundError("No module named 'minidl_cli'"),
        "tls://a:1": replace(OWN, torch="2.12.1", python="3.12"),
        "tls://b:1": OWN,
    }
    with pytest.raises(InputError) as caught:
        check_workers(found, OWN)
    assert caught.value.problems == [
        "worker tls://a:1: has PyTorch 2.12.1 (here 2.13.0), Python 3.12 (here 3.11); install the same versions",
        "worker tls://c:1: cannot tell its versions: ModuleNotFoundError: No module named 'minidl_cli'",
    ]
