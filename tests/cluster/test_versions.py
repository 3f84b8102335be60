"""Workers that have other versions are found out before anything is trained."""

import re
from pathlib import Path

import pytest

from tests.cluster.daemons import Daemons
from tests.faults.cases import BRIEF

DIFFERING = Path(__file__).parent / "differing.py"


@pytest.mark.long
def test_workers_that_differ_are_named(network, authority):
    desk, head, tower = (network.add(name) for name in ("desk", "head", "tower"))
    cluster = Daemons(head, authority)
    cluster.add_worker(tower)
    names = {}
    for lacking in ("minidl", "PyTorch", "Python", "all"):
        worker = cluster.add_worker(tower, "--preload", DIFFERING, DIFFERING=lacking)
        (address,) = re.findall(r"Start worker at:\s+(\S+)", worker.program.err)
        names[address] = lacking
    process = desk.start("minidl", "sweep", *BRIEF.arguments(desk.home), *cluster.options(desk))
    assert process.wait() == 2
    assert not (desk.home / "runs").exists()
    told = {line.split()[1].rstrip(":"): line for line in process.err.splitlines()}
    assert told.keys() == names.keys()
    for address, line in told.items():
        what = {"all": "cannot tell its versions: ", "minidl": "has minidl 0.0.9+"}
        assert what.get(names[address], f"has {names[address]} ") in line, line
