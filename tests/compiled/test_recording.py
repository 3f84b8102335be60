"""What a recording tells of operations: what they were given, and where they wrote."""

import pytest
import torch

from minidl_cli.compiled.recording import Recording


@pytest.fixture
def x():
    return torch.arange(12.0).view(1, 3, 4)


def test_an_operation_is_told_with_all_its_arguments(x):
    with Recording() as recording:
        y = torch.add(x, x, alpha=0.5)
    (add,) = recording.operations
    assert (add.name, add.arguments["alpha"]) == ("add", 0.5)
    assert add.arguments["self"] == add.arguments["other"] == recording.view(x)
    assert list(add.results) == [recording.view(y)]
    assert recording.view(x).block != recording.view(y).block
    assert recording.sizes == [12 * 4, 12 * 4]


def test_defaults_are_arguments(x):
    with Recording() as recording:
        torch.addcmul(x, x, x)
    assert recording.operations[0].arguments["value"] == 1


def test_all_forms_of_an_operation_have_one_name(x):
    y = torch.empty_like(x)
    with Recording() as recording:
        torch.mul(x, x)
        torch.mul(x, x, out=y)
        x.mul_(x)
        x.mul_(2)
    assert [each.name for each in recording.operations] == ["mul"] * 4


def test_operations_in_place_and_with_out_write_where_they_say(x):
    y = torch.empty_like(x)
    with Recording() as recording:
        returned = torch.mul(x, x, out=y)
        x[:, 1].neg_()
    mul, neg = recording.operations
    assert returned is y
    assert mul.results[0] == recording.view(y)
    assert (neg.results[0].block, neg.results[0].offset, neg.results[0].shape) == (recording.view(x).block, 4, (1, 4))
    assert neg.results[0] == neg.arguments["self"] == recording.view(x[:, 1])


def test_views_are_no_operations(x):
    with Recording() as recording:
        views = [x.mT, x[:, 1:, ::2], x.unsqueeze(0), x.expand(5, -1, -1), x.view(4, 3), *x.split(2, dim=2), *x]
    assert recording.operations == []
    assert {recording.view(each).block for each in views} == {recording.view(x).block}


def test_a_view_knows_its_place(x):
    recording = Recording()
    part = recording.view(x[:, 1:, ::2])
    assert (part.offset, part.shape, part.strides, part.is_whole) == (4, (1, 2, 2), (12, 4, 2), False)
    assert recording.view(x.mT).is_whole
    assert recording.view(x.view(torch.int32)).dtype == torch.int32


@pytest.mark.parametrize("inference", [True, False])
@pytest.mark.parametrize("copy", [lambda x: x.mT.reshape(-1), lambda x: x.mT.flatten(), lambda x: x.mT.contiguous()])
def test_what_copies_instead_of_viewing_is_an_operation(x, copy, inference):
    with torch.inference_mode(inference), Recording() as recording:
        y = copy(x)
    assert recording.operations
    assert {view.block for each in recording.operations for view in each.results} >= {recording.view(y).block}


def test_several_results_and_lists_of_tensors_are_told(x):
    with Recording() as recording:
        values, indices = x.max(dim=1)
        torch.stack([x, values.unsqueeze(1).expand_as(x)])
    largest, stack = recording.operations
    assert list(largest.results) == [recording.view(values), recording.view(indices)]
    assert stack.arguments["tensors"][0] == recording.view(x)
    assert {view.block for view in stack.views()} >= {recording.view(x).block, recording.view(values).block}


def test_memory_that_became_free_is_no_block_of_another_tensor():
    """PyTorch gives a new tensor the place of one that is gone, again and again."""
    with Recording() as recording:
        x = torch.zeros(1000)
        for _ in range(50):
            x = x + 1
    blocks = [each.results[0].block for each in recording.operations]
    assert len(set(blocks)) == len(blocks) >= 51


def test_what_only_looks_at_a_shape_reads_nothing(x):
    with torch.inference_mode(), Recording() as recording:
        torch.zeros_like(x), torch.empty_like(x), x.new_zeros(3)
    assert {view.block for each in recording.operations for view in each.views()} == {0, 1, 2}
    assert all("self" not in each.arguments for each in recording.operations)
