import math

import pytest
import torch

from tests.evaluation.tiny import TEXTS, byte_model, byte_tokenizer
from unlearning.data.rows import Document
from unlearning.errors import InputError
from unlearning.evaluation.likelihood import document_losses, length_batches, log_likelihoods

DOCUMENTS = [Document(f"d{index}", text) for index, text in enumerate(TEXTS)]


def skip(_: int) -> None:
    """No progress bar."""


@pytest.mark.parametrize("family", ["olmo", "gpt2", "gpt_neox", "mistral"])
@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("batch_tokens", [1, 100, 100000])
@torch.no_grad()
def test_losses_are_those_of_single_documents(family: str, bos: bool, batch_tokens: int) -> None:
    model, tokenizer = byte_model(family), byte_tokenizer(bos)
    expected = []
    for document in DOCUMENTS:
        ids = tokenizer(document.text, return_tensors="pt").input_ids
        expected.append(model(ids, labels=ids).loss.item())
    assert document_losses(model, tokenizer, DOCUMENTS, batch_tokens, skip) == pytest.approx(expected, rel=1e-6)


@torch.no_grad()
def test_an_even_model_pays_log_v_for_each_token() -> None:
    model, tokenizer = byte_model("olmo"), byte_tokenizer()
    model.lm_head.weight.zero_()
    assert document_losses(model, tokenizer, DOCUMENTS, 4000, skip) == pytest.approx([math.log(384)] * 5, rel=1e-6)
    sums = log_likelihoods(model, [[5, 6, 7, 8], [5, 6]], [2, 1], 4000, skip)
    assert sums == pytest.approx([-2 * math.log(384), -math.log(384)], rel=1e-6)


def test_length_batches() -> None:
    assert length_batches([3, 9, 5, 4], 10) == [[1], [2, 3], [0]]
    assert length_batches([], 10) == []


@pytest.mark.parametrize(
    ("text", "message"), [("a", "document d: 1 token; must have 2"), ("ab " * 2000, r"document d: .* context of 1024")]
)
def test_lengths_are_checked(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        document_losses(byte_model("olmo"), byte_tokenizer(), [Document("d", text)], 4000, skip)


@torch.no_grad()
def test_a_loss_that_is_no_number_names_the_document() -> None:
    model = byte_model("olmo")
    model.lm_head.weight[5] = float("nan")
    with pytest.raises(InputError, match="document d0: the model's loss is not a number"):
        document_losses(model, byte_tokenizer(), DOCUMENTS, 4000, skip)
