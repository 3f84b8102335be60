"""A sweep on a cluster of several hosts gives the bytes that it gives in one process."""

import pytest

from tests.faults.cases import CASES
from tests.faults.comparing import assert_same_results
from tests.faults.training import IN_THIS_PROCESS, Training

pytestmark = pytest.mark.long


VARIANTS_OF_A_TABLE = CASES["classes of a table"].but(
    "sweep.vary={optimizer: [{sgd: 0.1}, {adam: 0.01}]}", "data_seed=round", "training.epochs=1000"
)


@pytest.mark.parametrize("case", [VARIANTS_OF_A_TABLE, CASES["batch_norm, early stopping"]])
def test_same_results_as_in_one_process(case, cluster, desk, processes):
    undisturbed = Training(processes, case, "runs").finish(*IN_THIS_PROCESS)
    run = Training(desk.processes, case, "runs").finish(*cluster.options(desk), "--chunk", "1", **desk.minidl)
    assert_same_results(run, undisturbed)
    assert cluster.tasks() == 0
    for worker in cluster.workers:
        assert not [*worker.host.home.rglob("*.csv"), *worker.host.home.rglob("*.safetensors")]
