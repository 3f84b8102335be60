"""What a cluster's workers say of themselves, and what follows from it; nothing here connects to anything."""

from collections import Counter
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import count, product
from threading import Event

import dask
import distributed
import pytest

from minidl_cli import sweep
from minidl_cli.errors import InputError, MinidlWarning
from minidl_cli.sweeps.cluster import cluster, connection, relay
from minidl_cli.sweeps.cluster.access import Access
from minidl_cli.sweeps.cluster.cluster import Cluster
from minidl_cli.sweeps.cluster.connection import connect, connect_locally
from minidl_cli.sweeps.cluster.legs import Facts, Leg
from minidl_cli.sweeps.engine import TRIES, Failure
from minidl_cli.sweeps.plan import plan
from minidl_cli.sweeps.sweep import start
from minidl_cli.training.build import build
from minidl_cli.training.trainers import Trainers

pytestmark = pytest.mark.usefixtures("no_figures")

MACHINE, GPU = 12 * 2**30, 8 * 2**30
FIT = Facts("1.0", "2.13.0", "3.11", "cc 12", "a processor", True, MACHINE)
WITH_GPU = replace(FIT, gpu="GPU-1", gpu_memory=GPU)
# More than the five workers of which a scheduler tells unless it is asked for all.
SEVEN = [f"tls://{letter}:1" for letter in "abcdefg"]


class StandIn:
    """A client of workers that are not there: what they are given to do happens at once, here.

    Args:
        hosts: the host of each worker, by the worker's address.
        limits: the bytes that workers are limited to.
        threads: how many threads workers have, other than one.
    """

    status = "running"

    def __init__(self, hosts, limits=None, threads=None):
        self._hosts, self._limits, self._threads = hosts, limits or {}, threads or {}

    def scheduler_info(self, n_workers=5):
        told = list(self._hosts)[: n_workers if n_workers >= 0 else None]
        found = {each: {"host": self._hosts[each], "memory_limit": self._limits.get(each, 0)} for each in told}
        return {"address": "tls://scheduler:1", "workers": found}

    def nthreads(self):
        return dict.fromkeys(self._hosts, 1) | self._threads

    def run(self, do, *arguments, workers=None, on_error):
        return {each: do(*arguments) for each in workers or self._hosts}

    def submit(self, do, *arguments, key):
        future = Future()
        future.set_result(do(*arguments))
        return future

    def close(self, timeout=None):
        pass


@pytest.fixture
def engine(monkeypatch):
    """Returns an engine, given the facts of its workers by their addresses.

    Of workers, it may be given which have a host that is not theirs alone, which are limited, and which are gone.
    """

    def engine(facts, hosts=None, limits=None, gone=()):
        hosts = {each: each for each in facts if each not in gone} | (hosts or {})
        client = StandIn(hosts, limits)
        monkeypatch.setattr(cluster, "connect_locally", lambda workers: nullcontext(client))
        monkeypatch.setattr(cluster, "ask_workers", lambda client, device: dict(facts))
        monkeypatch.setattr(Facts, "here", classmethod(lambda cls, device="cpu": FIT))
        return Cluster()

    return engine


class TestCapacity:
    @staticmethod
    def of(engine, device="cpu", workers=None):
        """Return the bytes that each worker has, and how many workers there are."""
        found = engine.capacity(workers, device)
        return found.for_each(found.workers), found.workers

    def test_a_worker_may_have_its_machine(self, engine):
        assert self.of(engine(dict.fromkeys(SEVEN, FIT))) == (MACHINE, 7)

    def test_workers_share_their_machine(self, engine):
        assert self.of(engine(dict.fromkeys(SEVEN, FIT), hosts=dict.fromkeys(SEVEN[4:], "a host"))) == (MACHINE // 3, 7)

    @pytest.mark.parametrize("limit", [2**30, 9 * 2**30])
    def test_what_a_worker_is_limited_to_is_its_own(self, engine, limit):
        """Dask gives each process a part of its machine, and ends those that take more."""
        found = engine(dict.fromkeys(SEVEN, FIT), dict.fromkeys(SEVEN, "a host"), dict.fromkeys(SEVEN, limit))
        assert self.of(found) == (limit, 7)

    @pytest.mark.parametrize("address", [SEVEN[0], SEVEN[6]])
    def test_the_least_counts(self, engine, address):
        smaller = dict.fromkeys(SEVEN, FIT) | {address: replace(FIT, memory=2**30)}
        assert self.of(engine(smaller)) == (2**30, 7)
        assert self.of(engine(smaller, gone=[address])) == (MACHINE, 7)
        assert self.of(engine(dict.fromkeys(SEVEN, FIT), limits={address: 2**20})) == (2**20, 7)

    def test_workers_share_their_gpu(self, engine):
        facts = {"tls://a:1": WITH_GPU, "tls://b:1": WITH_GPU, "tls://c:1": replace(WITH_GPU, gpu="GPU-2")}
        assert self.of(engine(facts), "cuda") == (GPU // 2, 3)
        del facts["tls://b:1"]
        assert self.of(engine(facts), "cuda") == (GPU, 2)

    @pytest.mark.parametrize("address", [SEVEN[0], SEVEN[6]])
    def test_the_least_gpu_counts(self, engine, address):
        facts = {each: replace(WITH_GPU, gpu=each, gpu_memory=2**30 if each == address else GPU) for each in SEVEN}
        assert self.of(engine(facts), "cuda") == (2**30, 7)

    @pytest.mark.parametrize("workers", [1, 3])
    def test_of_as_many_workers_as_asked_for(self, engine, workers):
        facts = {each: replace(WITH_GPU, gpu=each) for each in SEVEN}
        assert self.of(engine(facts), workers=workers) == (MACHINE, workers)
        assert self.of(engine(facts), "cuda", workers) == (GPU, workers)

    def test_what_a_machine_has_beside_its_gpus(self, engine, monkeypatch):
        facts = {each: replace(WITH_GPU, gpu=each) for each in SEVEN}
        here = engine(facts, hosts=dict.fromkeys(SEVEN, "a host")).capacity(None, "cuda")
        assert (here.host, here.place) == (None, "this machine")
        used = engine(facts, hosts=dict.fromkeys(SEVEN, "a host"))
        monkeypatch.setattr(cluster, "connect", lambda access: nullcontext(used._connect(None, "cuda")))
        elsewhere = Cluster(Access.of("tcp://127.0.0.1:8786")).capacity(None, "cuda")
        assert (elsewhere.host, elsewhere.place) == (MACHINE // 7, "the cluster")

    @pytest.mark.parametrize("device", ["cuda", "cuda:1"])
    def test_a_worker_without_the_device_is_named(self, engine, device):
        found = engine({"tls://a:1": WITH_GPU, "tls://b:1": FIT})
        with pytest.raises(InputError, match=f"^--device {device}: worker tls://b:1 has no such device$"):
            found.capacity(None, device)
        found.capacity(None, "cpu")  # which all have


@pytest.mark.parametrize("without", [[], SEVEN[:1], SEVEN[6:], SEVEN], ids=len)
def test_there_is_a_gpu_if_all_have_one(engine, without):
    found = engine(dict.fromkeys(SEVEN, WITH_GPU) | dict.fromkeys(without, FIT))
    assert found.has_cuda(None) is not bool(without)


class TestCompilers:
    @staticmethod
    def lack(engine, *facts):
        found = engine(dict(zip(SEVEN, facts, strict=False)))
        found.capacity(None, "cpu")
        return found.lack_of_compilers()

    def test_the_same_everywhere(self, engine):
        assert self.lack(engine, FIT, replace(FIT, memory=1, is_exact=False)) is None

    def test_a_worker_without_one_is_named(self, engine):
        assert self.lack(engine, FIT, replace(FIT, compiler=None, target="")) == "worker tls://b:1 has no C compiler"

    @pytest.mark.parametrize("targets", [("other", "a processor"), ("a processor", "other"), ("other", "other")])
    def test_another_processor_is_told(self, engine, targets):
        """It may be that of this process: what it compiles, the others do not."""
        with pytest.warns(MinidlWarning, match="^compilers or processors in the cluster differ, and so may the last"):
            assert self.lack(engine, *(replace(FIT, target=each) for each in targets)) is None

    def test_a_sweep_is_not_compiled_then(self, engine, small_config, tmp_path):
        lacking = engine({"tls://a:1": FIT, "tls://b:1": replace(FIT, compiler=None, target="")})
        with pytest.warns(MinidlWarning, match="the steps could not be compiled"):
            run = sweep(small_config("training.epochs=1"), runs_dir=tmp_path, engine=lacking)
        assert run.environment()["steps"] == "PyTorch's operations (worker tls://b:1 has no C compiler)"


class TestRelay:
    @pytest.fixture
    def events(self, engine, small_config, monkeypatch):
        """Returns the events of five chunks of a round each, given who trains their legs, and for how many workers.

        Of the rounds that come, the events are the seeds.
        """

        def events(train, workers=None):
            monkeypatch.setattr(relay, "train_leg", lambda name, chunk, saved, seconds: train(chunk[0]))
            config = small_config("sweep.rounds=5", "training.compiled=never")
            found = engine(dict.fromkeys(SEVEN[:4], FIT))
            planned = plan(build(config), found.capacity(workers, "cpu"), chunk=1)
            return found.train(Trainers(config), planned, lambda chunk: None)

        return events

    @pytest.mark.parametrize(("workers", "most"), [(1, 1), (2, 2), (4, 4), (9, 4), (None, 4)])
    def test_as_many_legs_at_a_time_as_workers_are_asked_for(self, events, workers, most):
        begun, ended, at_a_time = [], [], []

        def train(seed):
            begun.append(seed)
            at_a_time.append(len(begun) - len(ended))
            return Leg(rounds=[seed])

        for seed in events(train, workers):
            ended.append(seed)
        assert sorted(ended) == sorted(begun) == [0, 1, 2, 3, 4]
        assert max(at_a_time) == most

    def test_a_chunk_that_is_suspect_time_and_again_fails(self, events):
        """Alone it always passes, and with others at work it never does."""
        tried = Counter()

        def train(seed):
            tried[seed] += 1
            if seed == 1 and tried[seed] <= 4 * TRIES:
                return Leg(error=MemoryError()) if tried[seed] % 2 else Leg()
            return Leg(rounds=[seed])

        found = list(events(train))
        reason = "their worker ran out of memory, and again each time after it was tried alone"
        (failure,) = (each for each in found if isinstance(each, Failure))
        assert (list(failure.seeds), failure.reason) == ([1], reason)
        assert {each for each in found if each is not failure} == {0, 2, 3, 4}
        assert tried[1] == 2 * TRIES + 1


@pytest.mark.parametrize("leg_seconds", [0.0, 60.0])
def test_each_epoch_of_each_round_comes_once(small_config, tmp_path, engine, monkeypatch, leg_seconds):
    """One of the legs is lost."""
    legs, train_leg = count(1), relay.train_leg

    def train(*leg):
        return Leg(error=MemoryError()) if next(legs) == 3 else train_leg(*leg)

    monkeypatch.setattr(relay, "train_leg", train)
    monkeypatch.setattr(relay, "SHORTEST_LEG", leg_seconds)
    monkeypatch.setattr(relay, "COSTS_BETWEEN", 0)
    config = small_config("sweep.rounds=5", "training.epochs=4", "training.compiled=never")
    job = start(config, tmp_path, chunk=2, engine=engine(dict.fromkeys(SEVEN[:2], FIT)))
    records = list(job.records())
    expected = Counter(product(range(5), range(1, 5)))
    assert Counter((seed, each.epoch) for each in records for seed in each.seeds) == expected
    assert sum(len(each.seeds) for each in records) == job.epochs
    if not leg_seconds:  # from both workers, while they are at it
        assert {each.seeds[0] for each in records[:2]} == {0, 2}


class TestConnecting:
    @contextmanager
    def connected(self, monkeypatch, threads):
        client = StandIn(dict.fromkeys(SEVEN, "a host"), threads=threads)
        monkeypatch.setattr(connection, "create_connection", lambda address, timeout: client)
        monkeypatch.setattr(distributed, "Client", lambda address, **_: client)
        with connect(Access.of("tcp://127.0.0.1:8786")) as connected:
            yield connected

    def test_a_scheduler_that_hangs_is_not_waited_for(self, monkeypatch):
        monkeypatch.setattr(connection, "create_connection", lambda address, timeout: StandIn({}))
        monkeypatch.setattr(distributed, "Client", lambda address, **_: Event().wait(5))
        monkeypatch.setattr(connection, "START_SECONDS", 0.01)
        with (
            pytest.raises(InputError, match=r"^--address tcp://127.0.0.1:8786: does not answer within 0.01 seconds"),
            connect(Access.of("tcp://127.0.0.1:8786")),
        ):
            pass

    def test_workers_of_one_thread(self, monkeypatch):
        with self.connected(monkeypatch, {}) as client:
            assert list(client.nthreads()) == SEVEN

    def test_workers_of_several_threads_are_told(self, monkeypatch):
        told = "^workers train with one thread each, but tls://g:1 has 4; start them with --nthreads 1 --nworkers -1$"
        with pytest.warns(MinidlWarning, match=told), self.connected(monkeypatch, {SEVEN[6]: 4}):
            pass


# Dask's settings of what can be seen by a browser.
ROUTES = ("distributed.scheduler.http.routes", "distributed.worker.http.routes")


class TestStartingACluster:
    @pytest.fixture
    def started(self, monkeypatch):
        """Returns what a cluster is started with, by the names of arguments and of settings, given how many workers."""

        def started(workers):
            found = {}

            class Noting:
                def __init__(self, **arguments):
                    self.workers = {}
                    found.update(arguments | {name: dask.config.get(name) for name in ROUTES})

                def close(self):
                    found["is closed"] = True

            monkeypatch.setattr(distributed, "LocalCluster", Noting)
            monkeypatch.setattr(distributed, "Client", lambda started, **_: nullcontext(started))
            with connect_locally(workers) as client:
                assert isinstance(client, Noting)
                assert "is closed" not in found
            return found

        return started

    @pytest.mark.parametrize(("workers", "expected"), [(None, 7), (1, 1), (9, 9)])
    def test_a_process_for_each_core_unless_told_otherwise(self, started, monkeypatch, workers, expected):
        monkeypatch.setattr(connection, "default_workers", lambda: 7)
        found = started(workers)
        assert (found["n_workers"], found["threads_per_worker"]) == (expected, 1)
        assert found.get("processes", True)
        assert found["is closed"]

    def test_nobody_else_is_let_in(self, started):
        """Both sides prove by TLS who they are, with a certificate that nobody else has."""
        one, other = (started(1)["security"] for _ in range(2))
        assert one.require_encryption
        for name in ("tls_ca_file", "tls_client_cert", "tls_client_key", "tls_worker_key", "tls_scheduler_key"):
            assert getattr(one, name)
            assert getattr(one, name) != getattr(other, name)

    def test_there_is_nothing_to_be_seen_by_a_browser(self, started):
        found = started(1)
        assert found["dashboard_address"] is None
        assert found["scheduler_kwargs"] == {"dashboard_address": "127.0.0.1:0"}
        assert [found[name] for name in ROUTES] == [[], []]
