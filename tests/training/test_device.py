import re

import numpy as np
import pytest
import torch

from minidl_cli.errors import InputError
from minidl_cli.nn.transfer import to_device
from minidl_cli.training.build import build
from minidl_cli.training.checkpoint import fingerprint
from minidl_cli.training.device import at_work, find_device, free_memory, has_cuda, matmul_precision
from minidl_cli.training.measures import fetch
from minidl_cli.training.samples import OrdersAhead, Samples, epoch_order
from minidl_cli.training.trainer import Trainer
from minidl_cli.training.trainers import Trainers

META = torch.device("meta")


@pytest.fixture
def gpus(monkeypatch):
    """Returns a function that makes it seem that there are so many GPUs, None for a PyTorch without CUDA."""

    def make(count):
        monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: count is not None)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(count))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count or 0)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)

    return make


def problem(name):
    with pytest.raises(InputError) as caught:
        find_device(name)
    (line,) = caught.value.problems
    return line


def test_the_cpu_is_always_there(gpus):
    gpus(None)
    assert find_device("cpu") == torch.device("cpu")
    assert not has_cuda()


def test_gpus_by_number(gpus):
    gpus(2)
    assert has_cuda()
    assert [find_device(name) for name in ("cuda", "cuda:0", "cuda:1")] == [
        torch.device("cuda", each) for each in (0, 0, 1)
    ]


def test_what_is_missing_is_told_in_a_line(gpus):
    gpus(None)
    assert problem("cuda") == (
        f"--device cuda: this PyTorch, {torch.__version__}, is built without CUDA; install a CUDA build, as the README "
        "says, or use --device cpu"
    )
    gpus(0)
    assert problem("cuda:0") == (
        "--device cuda:0: PyTorch finds no GPU, or no driver of one; see whether nvidia-smi does, or use --device cpu"
    )
    gpus(1)
    assert problem("cuda:1") == "--device cuda:1: there is no such GPU; there is only cuda:0"
    gpus(4)
    assert problem("cuda:4") == "--device cuda:4: there is no such GPU; there are cuda:0 to cuda:3"


def test_a_gpu_that_cannot_be_used_is_told_in_a_line(gpus, monkeypatch):
    def busy(*_):
        raise RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable\nmore lines")

    gpus(1)
    line = (
        "--device cuda: the GPU cannot be used: CUDA error: all CUDA-capable devices are busy or unavailable; see what "
        "nvidia-smi says, or use --device cpu"
    )
    with monkeypatch.context() as patched:
        patched.setattr(torch.cuda, "mem_get_info", busy)
        with pytest.raises(InputError, match=re.escape(line)):
            free_memory("cuda")
    monkeypatch.setattr(torch.cuda, "current_device", busy)
    assert problem("cuda") == line


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:²", "mps", "auto", ""])
def test_other_names_are_no_devices(name, gpus):
    gpus(1)
    assert problem(name) == f"--device {name}: is no device; there are cpu, cuda, and cuda:0 and so on"


def test_trainers_say_what_is_missing(small_config, gpus):
    gpus(None)
    for make in (
        lambda: Trainers(small_config(), device="cuda").of([0]),
        lambda: Trainer(build(small_config()), [0], "cuda"),
    ):
        with pytest.raises(InputError, match=r"--device cuda: this PyTorch, .* is built without CUDA"):
            make()


def test_products_are_as_precise_as_asked_for_and_then_as_before():
    products, cpu = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul.fp32_precision
    before = products.fp32_precision
    for precision, name in {"highest": "ieee", "high": "tf32", "medium": "tf32"}.items():
        with matmul_precision(precision):
            assert products.fp32_precision == name
            assert torch.backends.mkldnn.matmul.fp32_precision == cpu
        assert products.fp32_precision == before
    with pytest.raises(ZeroDivisionError), matmul_precision("high"):
        raise ZeroDivisionError
    assert products.fp32_precision == before
    torch.get_float32_matmul_precision()  # which raises where PyTorch's older and newer settings contradict each other


def test_the_cpu_is_at_work_as_ever():
    with at_work(torch.device("cpu"), "high"):
        assert torch.backends.cuda.matmul.fp32_precision != "tf32"


def test_products_are_the_most_precise_unless_asked_otherwise(small_config):
    assert small_config().training.matmul_precision == "highest"
    with pytest.raises(InputError, match="matmul_precision"):
        small_config("training.matmul_precision=low")


def test_checkpoints_are_those_of_a_precision(small_config):
    usual, rough = small_config(), small_config("training.matmul_precision=high")
    assert fingerprint(usual) == fingerprint(small_config("training.matmul_precision=highest")) != fingerprint(rough)


def test_a_network_moves_as_a_whole(small_config):
    network = build(small_config("model=[linear: 7, batch_norm, dropout, linear: 2]")).network
    network.allocate(3, torch.float32)
    network.to(META)
    assert network.device == META
    moved = [each.value for _, each in network.named_state()]
    for _, parameter in network.named_parameters():
        moved += [parameter.grad, parameter.column]
        assert parameter.value._is_view()
    moved += [network.layers[0].weight.transposed, network.values, network.gradients]
    network.draw_noise(4, [torch.Generator()] * 3)
    assert {values.device for values in [*moved, *network.drawn_noise()]} == {META}
    network.load({name: torch.zeros(3, *shape) for name, shape in network.state_shapes().items()})
    assert {values.device for values in network.state().values()} == {META}


def test_values_of_the_network_are_views_of_the_vectors_after_a_move(small_config):
    network = build(small_config()).network
    network.allocate(2, torch.float32)
    network.initialize([0, 1])
    before = network.values.clone()
    network.to(torch.device("cpu"))
    assert torch.equal(network.values, before)
    network.values.zero_()
    network.gradients.fill_(1)
    for _, parameter in network.named_parameters():
        assert not parameter.value.any()
        assert parameter.grad.all()


def test_samples_move_with_their_rows():
    samples = Samples(torch.zeros(1, 2, 5), torch.zeros(1, 1, 5), torch.zeros(3, 4, dtype=torch.int64)).to(META)
    assert {values.device for values in (samples.inputs, samples.targets, samples.rows)} == {META}
    assert Samples(torch.zeros(1, 2, 5), torch.zeros(1, 1, 5)).to(META).rows is None


def test_what_stays_is_not_copied():
    values = torch.zeros(3)
    assert to_device(values, torch.device("cpu")) is values


@pytest.mark.parametrize("settings", [(), ("training.shuffle=false",), ("training.drop_last=true",)])
def test_orders_drawn_ahead_are_those_drawn_when_asked_for(settings, small_config):
    options = small_config(*settings, "training.epochs=4").training
    ahead = OrdersAhead(options, 47, torch.device("cpu"))
    for seeds, epoch in [([3, 5], 1), ([3, 5], 2), ([5], 3), ([5], 2), ([5], 4), ([5], 4)]:
        assert torch.equal(ahead.take(seeds, epoch), epoch_order(options, 47, seeds, epoch))


def test_no_order_is_drawn_for_after_the_last_epoch(small_config, monkeypatch):
    drawn = []

    def draw(options, size, seeds, epoch, *, pinned):
        drawn.append(epoch)
        return torch.zeros(len(seeds), size)

    monkeypatch.setattr("minidl_cli.training.samples.epoch_order", draw)
    ahead = OrdersAhead(small_config().training, 47, torch.device("cpu"))
    for epoch in (1, 2, 3):
        ahead.take([0], epoch)
    assert drawn == [1, 2, 3]


def test_metrics_come_as_numbers():
    found = fetch(
        {"a": torch.tensor([1.0, 2.0]).double(), "b": np.array([3.0]), "c": torch.tensor([4.0, 5.0]).double()}
    )
    assert {name: values.tolist() for name, values in found.items()} == {"a": [1, 2], "b": [3], "c": [4, 5]}
    assert all(isinstance(values, np.ndarray) for values in found.values())
    assert fetch({}) == {}
