"""The likelihoods of tokens and documents, by hand and compared with one document at a time."""

import math
import zlib

import numpy as np
import pytest
import torch

from tests.evaluation.tiny import TEXTS, byte_model, byte_tokenizer
from unlearning.data.rows import Document
from unlearning.errors import InputError
from unlearning.evaluation import likelihood
from unlearning.evaluation.likelihood import document_scores, length_batches, log_likelihoods, token_scores
from unlearning.evaluation.result import DocumentScore

DOCUMENTS = [Document(f"d{index}", text) for index, text in enumerate(TEXTS)]


def skip(_: int) -> None:
    """Stand in for a progress bar."""


def naive_score(document: Document, member: bool, logits: torch.Tensor, ids: list[int]) -> DocumentScore:
    """Return all membership values, computed token by token in float64 from the logits (T, V)."""
    plain, standardised = [], []
    for place, token in enumerate(ids[1:]):
        values = logits[place].double().numpy()
        values = values - np.log(np.exp(values - values.max()).sum()) - values.max()
        mean = (np.exp(values) * values).sum()
        deviation = math.sqrt((np.exp(values) * (values - mean) ** 2).sum())
        plain.append(values[token])
        standardised.append((values[token] - mean) / deviation)
    lowest = len(plain) // 5
    loss = -sum(plain) / len(plain)
    return DocumentScore(
        document.id,
        member,
        loss,
        loss / len(zlib.compress(document.text.encode("utf-8"))),
        -sum(sorted(plain)[:lowest]) / lowest,
        -sum(sorted(standardised)[:lowest]) / lowest,
    )


@pytest.mark.grid
@pytest.mark.parametrize("family", ["olmo", "gpt2", "gpt_neox", "mistral"])
@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("batch_tokens", [1, 100, 100000])
@torch.no_grad()
def test_scores_are_those_of_single_documents(family: str, bos: bool, batch_tokens: int) -> None:
    """A document's scores do not depend on its batch or the padding, and the loss is that of transformers."""
    model, tokenizer = byte_model(family), byte_tokenizer(bos)
    found = document_scores(model, tokenizer, DOCUMENTS, 2, batch_tokens, skip)
    for place, (document, score) in enumerate(zip(DOCUMENTS, found, strict=True)):
        ids = tokenizer(document.text, return_tensors="pt").input_ids
        output = model(ids, labels=ids)
        expected = naive_score(document, place < 2, output.logits[0], ids[0].tolist())
        assert (score.id, score.member) == (expected.id, expected.member)
        assert score.loss_nats == pytest.approx(output.loss.item(), rel=1e-6)
        for name in ("loss_nats", "zlib", "min_k", "min_k_plus"):
            assert getattr(score, name) == pytest.approx(getattr(expected, name), rel=1e-5), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_loss_is_that_of_log_likelihoods_to_the_last_bit(dtype: torch.dtype) -> None:
    """One uses torch.logsumexp of the whole batch, the other a few positions at a time; both are bitwise equal."""
    model, tokenizer = byte_model("olmo").to(dtype), byte_tokenizer()
    sequences = [tokenizer(text)["input_ids"] for text in TEXTS]
    sums = log_likelihoods(model, sequences, [1] * len(TEXTS), 200, skip)
    found = document_scores(model, tokenizer, DOCUMENTS, 0, 200, skip)
    expected = [-total / (len(tokens) - 1) for total, tokens in zip(sums, sequences, strict=True)]
    assert [score.loss_nats for score in found] == expected


@torch.no_grad()
def test_an_even_model_pays_log_v_for_each_token() -> None:
    """Every token is exactly as likely as the mean, so Min-K%++ is 0."""
    model, tokenizer = byte_model("olmo"), byte_tokenizer()
    model.lm_head.weight.zero_()
    for score in document_scores(model, tokenizer, DOCUMENTS, 0, 4000, skip):
        assert [score.loss_nats, score.min_k] == pytest.approx([math.log(384)] * 2, rel=1e-6)
        assert score.min_k_plus == 0
    sums = log_likelihoods(model, [[5, 6, 7, 8], [5, 6]], [2, 1], 4000, skip)
    assert sums == pytest.approx([-2 * math.log(384), -math.log(384)], rel=1e-6)


def test_token_scores_by_hand() -> None:
    """For p = 1/2, 1/4, 1/4, log p is -1, -2, -2 in units of ln 2: mean -3/2, variance 1/4, so 1 and -1.

    For p = 1, 0, 0 the variance is 0: the certain token is 0, a masked one finite, and less likely than all else.
    """
    halves = [math.log(2), 0.0, 0.0]
    certain = [5.0, -math.inf, -math.inf]
    logits = torch.tensor([halves, halves, certain, certain])
    plain, standardised = token_scores(logits, torch.tensor([0, 2, 0, 1]))
    assert plain.tolist() == pytest.approx([-math.log(2), -2 * math.log(2), 0, -math.inf])
    assert standardised[:3].tolist() == pytest.approx([1, -1, 0])
    assert -math.inf < standardised[3].item() < -1e6


def test_a_certain_model_is_still_told_apart() -> None:
    """With p = 1 - q, q and ln(q) = -40 to a float's last bit: mean q ln q, variance q ln(q)^2, so ln q / (sqrt(q) 40).

    That is -exp(20) for the unlikely token, and sqrt(q) = exp(-20) for the likely one: p in float32 is 1 for it.
    """
    logits = torch.tensor([[0.0, -40.0]] * 2)
    _, standardised = token_scores(logits, torch.tensor([1, 0]))
    assert standardised.tolist() == pytest.approx([-math.exp(20), math.exp(-20)], rel=1e-5)


def test_token_scores_do_not_depend_on_the_positions_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scores are bitwise equal, even with one position at a time."""
    source = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(37, 1000, generator=source)
    tokens = torch.randint(1000, (37,), generator=source)
    expected = token_scores(logits, tokens)
    for limit in (1, 2500, 36000):
        monkeypatch.setattr(likelihood, "STATISTICS_LIMIT", limit)
        assert all(map(torch.equal, token_scores(logits, tokens), expected))


def test_length_batches() -> None:
    """A batch has as many sequences as fit when padded to its longest, and the longest come first."""
    assert length_batches([3, 9, 5, 4], 10) == [[1], [2, 3], [0]]
    assert length_batches([], 10) == []


def test_a_full_batch_takes_only_sequences_of_about_its_length() -> None:
    """Three of 200, 200 and 190 tokens are full, so 100 comes apart; two of 100 are not, so 30 joins them."""
    assert length_batches([100, 200, 190, 200], 1000) == [[1, 3, 2], [0]]
    assert length_batches([30, 100, 100], 1000) == [[1, 2, 0]]


def test_progress_is_told_of_every_document() -> None:
    """The progress bar counts every document once."""
    counts: list[int] = []
    document_scores(byte_model("olmo"), byte_tokenizer(), DOCUMENTS, 2, 100, counts.append)
    assert sum(counts) == len(DOCUMENTS)
    assert len(counts) > 1


@pytest.mark.parametrize(
    ("text", "message"), [("a", "document d: 1 token; must have 2"), ("ab " * 2000, r"document d: .* context of 1024")]
)
def test_lengths_are_checked(text: str, message: str) -> None:
    """A document of one token, or one longer than the context, is refused with its name."""
    with pytest.raises(InputError, match=message):
        document_scores(byte_model("olmo"), byte_tokenizer(), [Document("d", text)], 1, 4000, skip)


@torch.no_grad()
def test_a_loss_that_is_no_number_names_the_document() -> None:
    """Broken weights are refused with the name of the document."""
    model = byte_model("olmo")
    model.lm_head.weight[5] = float("nan")
    with pytest.raises(InputError, match="document d0: the model's loss is not a number"):
        document_scores(model, byte_tokenizer(), DOCUMENTS[:1], 0, 4000, skip)
