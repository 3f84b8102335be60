"""What tests of clusters share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cases import CASE
from tests.cluster.certificates import Authority
from tests.cluster.daemons import Daemons
from tests.cluster.hosts import FarHost, Host, Network, make_network
from tests.faults.processes import Processes
from tests.faults.training import IN_THIS_PROCESS, Training


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """Hosts that reach each other."""
    with make_network(tmp_path) as made:
        yield made


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Host]:
    """This machine itself, for what needs no other."""
    host = Host("here", "127.0.0.1", tmp_path / "here")
    yield host
    host.stop()


@pytest.fixture
def authority() -> Authority:
    """The authority of the cluster's certificates."""
    return Authority()


@pytest.fixture
def processes(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Starts commands in a folder of this machine, of which none outlives the test."""
    folder = tmp_path / "undisturbed"
    folder.mkdir()
    started = Processes(folder, tmp_path_factory.mktemp("printed"))
    yield started
    started.kill_all()


@pytest.fixture
def desk(network: Network) -> FarHost:
    """A host to sweep from."""
    return network.add("desk")


@pytest.fixture
def cluster(network: Network, desk: FarHost, authority: Authority) -> Daemons:
    """A scheduler on a second host, and a worker on each of two more."""
    daemons = Daemons(network.add("head"), authority)
    for name in ("left", "right"):
        daemons.add_worker(network.add(name))
    return daemons


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The run folder of the case in which something happens meanwhile, where nothing does."""
    processes = Processes(tmp_path_factory.mktemp("undisturbed"), tmp_path_factory.mktemp("printed"))
    yield Training(processes, CASE, "runs").finish(*IN_THIS_PROCESS)
    processes.kill_all()
