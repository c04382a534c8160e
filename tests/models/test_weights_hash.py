"""The hash of a model's weights changes with every bit of them, and with nothing else."""

import pytest
import torch
from torch import nn

from unlearning.models.weights_hash import weights_hash


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_every_type_of_weight_is_read(dtype: torch.dtype) -> None:
    """A layer of zeros, one with a single one in it, and one with the sign of a zero changed have three hashes."""
    hashes = set()
    for value in (0.0, 1.0, -0.0):
        layer = nn.Linear(2, 2, bias=False, dtype=dtype)
        with torch.no_grad():
            layer.weight.zero_()
            layer.weight[1, 0] = value
        hashes.add(weights_hash(layer))
    assert len(hashes) == 3


def test_the_name_counts() -> None:
    """The same numbers under another name are other weights."""
    one = nn.Linear(2, 2)
    assert weights_hash(one) != weights_hash(nn.Sequential(one))


def test_type_and_shape_count() -> None:
    """Zeros have the same bytes in another type of the same size, and in another shape."""
    zeros = [
        torch.zeros(2, 3, dtype=torch.float16),
        torch.zeros(2, 3, dtype=torch.bfloat16),
        torch.zeros(3, 2, dtype=torch.float16),
    ]
    hashes = set()
    for tensor in zeros:
        module = nn.Module()
        module.register_buffer("weight", tensor)
        hashes.add(weights_hash(module))
    assert len(hashes) == 3


def test_the_order_of_numbers_counts() -> None:
    """Two numbers that change places make other weights."""
    layer = nn.Linear(2, 2, bias=False)
    before = weights_hash(layer)
    with torch.no_grad():
        layer.weight.copy_(layer.weight.flip(0))
    assert weights_hash(layer) != before


def test_the_number_of_threads_and_the_place_in_memory_do_not_count() -> None:
    """The same weights have the same hash on one thread and on two, and as a transposed view."""
    layer = nn.Linear(3, 5)
    hashes = {weights_hash(layer)}
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        hashes.add(weights_hash(layer))
    finally:
        torch.set_num_threads(threads)
    layer.weight.data = layer.weight.data.t().contiguous().t()
    assert not layer.weight.is_contiguous()
    hashes.add(weights_hash(layer))
    assert len(hashes) == 1
