"""The loss of packed rows equals that of a plain forward pass of one row at a time, for every architecture."""

import random

import pytest
import torch
from transformers import PreTrainedModel

from tests.tiny_models import FAMILIES, tiny_model
from unlearning.data.encoding import EncodedRow
from unlearning.data.packing import build_packs, first_fit
from unlearning.models.row_losses import row_losses


def random_rows(count: int, vocabulary: int = 96) -> list[EncodedRow]:
    """Return random rows of 4 to 20 tokens."""
    rng = random.Random(0)
    rows = []
    for _ in range(count):
        length = rng.randint(4, 20)
        rows.append(EncodedRow(tuple(rng.randrange(3, vocabulary) for _ in range(length)), rng.randint(1, length - 2)))
    return rows


def plain_loss(model: PreTrainedModel, row: EncodedRow) -> torch.Tensor:
    """Return the loss of a forward pass of the row alone."""
    logits = model(input_ids=torch.tensor([row.input_ids])).logits[0, :-1]
    labels = torch.tensor(row.input_ids[1:])
    start = row.supervised_from - 1
    return torch.nn.functional.cross_entropy(logits[start:], labels[start:])


@pytest.mark.parametrize("family", FAMILIES)
def test_equals_one_row_at_a_time(family: str) -> None:
    """Values and gradients are equal, in several packs, in double precision."""
    model = tiny_model(family).double()
    rows = random_rows(9)
    packs = build_packs(rows, first_fit([len(row.input_ids) for row in rows], 40), pad=0)
    packed = row_losses(model, packs, len(rows))
    plain = torch.stack([plain_loss(model, row) for row in rows])
    torch.testing.assert_close(packed, plain, atol=1e-9, rtol=1e-9)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for ours, theirs in zip(
        torch.autograd.grad(packed.sum(), parameters, allow_unused=True),
        torch.autograd.grad(plain.sum(), parameters, allow_unused=True),
        strict=True,
    ):
        if theirs is not None:
            # Gemma's norms compute in float32 whatever the weights are.
            tolerance = 1e-6 if family == "gemma3_text" else 1e-9
            torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=tolerance)


def test_order_and_pack_size_do_not_matter() -> None:
    """Another layout gives the same losses."""
    model = tiny_model("olmo").double()
    rows = random_rows(12)
    lengths = [len(row.input_ids) for row in rows]
    wide = row_losses(model, build_packs(rows, first_fit(lengths, 200), 0), 12)
    narrow = row_losses(model, build_packs(rows, [[index] for index in reversed(range(12))], 0), 12)
    torch.testing.assert_close(wide, narrow, atol=1e-10, rtol=1e-10)


def test_the_hook_is_gone_afterwards() -> None:
    """The hook is removed, also after an exception."""
    model = tiny_model("olmo")
    rows = random_rows(2)
    packs = build_packs(rows, [[0, 1]], 0)
    row_losses(model, packs, 2)
    ids = packs.input_ids
    assert model(input_ids=ids).logits.shape[1] == ids.shape[1]
    with pytest.raises(IndexError):
        row_losses(model, build_packs([EncodedRow((9999, 1), 1)], [[0]], 0), 1)
    assert model(input_ids=ids).logits.shape[1] == ids.shape[1]
