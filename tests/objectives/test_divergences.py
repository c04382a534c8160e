"""Divergences of two distributions over two or three tokens, worked out by hand."""

import math

import pytest
import torch

from tests.objectives.made import LOG2, gradient, logits_of
from unlearning.config.objective_choices import Divergence
from unlearning.objectives.divergences import cross_entropy, divergence
from unlearning.objectives.rows import Reference

HALVES, QUARTERS = [0.5, 0.5], [0.25, 0.75]
"""The reference p and the model q."""


def between(kind: Divergence, p: list[float], q: list[float], order: float = 0.5) -> float:
    """Return the divergence at one token."""
    return divergence(kind, logits_of([q]), Reference(outputs=logits_of([p]).detach()), order).item()


def test_cross_entropy() -> None:
    """It is -log of the token's probability."""
    found = cross_entropy(logits_of([[0.5, 0.5], [0.25, 0.75]]), torch.tensor([1, 0]))
    assert found.tolist() == pytest.approx([LOG2, 2 * LOG2])


def test_kl() -> None:
    """(log(1/2 / 1/4) + log(1/2 / 3/4)) / 2 = log(2 * 2/3) / 2 = log(4/3) / 2."""
    assert between(Divergence.kl, HALVES, QUARTERS) == pytest.approx(math.log(4 / 3) / 2)


def test_reverse_kl() -> None:
    """1/4 log(1/2) + 3/4 log(3/2) = 3/4 log 3 - log 2."""
    assert between(Divergence.reverse_kl, HALVES, QUARTERS) == pytest.approx(0.75 * math.log(3) - LOG2)


def test_js() -> None:
    """m = (3/8, 5/8): KL(p, m) = log(16/15) / 2, KL(q, m) = log(2/3) / 4 + 3 log(6/5) / 4."""
    expected = (math.log(16 / 15) / 2 + math.log(2 / 3) / 4 + 0.75 * math.log(6 / 5)) / 2
    assert between(Divergence.js, HALVES, QUARTERS) == pytest.approx(expected)


def test_renyi() -> None:
    """Order 1/2: -2 log(sqrt(1/8) + sqrt(3/8)); order 2: log(1/4 / 1/4 + 1/4 / 3/4) = log(4/3)."""
    half = -2 * math.log(math.sqrt(1 / 8) + math.sqrt(3 / 8))
    assert between(Divergence.renyi, HALVES, QUARTERS, 0.5) == pytest.approx(half)
    assert between(Divergence.renyi, HALVES, QUARTERS, 2.0) == pytest.approx(math.log(4 / 3))


@pytest.mark.parametrize("order", [1 - 1e-6, 1 + 1e-6])
def test_renyi_tends_to_kl(order: float) -> None:
    """It tends to KL as the order tends to 1, from either side."""
    p, q = [0.7, 0.2, 0.1], [0.1, 0.3, 0.6]
    assert between(Divergence.renyi, p, q, order) == pytest.approx(between(Divergence.kl, p, q), rel=1e-5)


@pytest.mark.parametrize("kind", list(Divergence))
def test_nothing_between_equals(kind: Divergence) -> None:
    """It is zero, with a gradient of zero, where the model has not moved."""
    logits = logits_of([[0.7, 0.2, 0.1]])
    found = divergence(kind, logits, Reference(outputs=logits.detach()), 0.5)
    assert found.item() == pytest.approx(0.0, abs=1e-12)
    torch.testing.assert_close(gradient(found.sum(), logits), torch.zeros(1, 3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("kind", "share"), [(Divergence.reverse_kl, 1.0), (Divergence.js, 0.25), (Divergence.renyi, 0.3)]
)
def test_close_to_the_reference_each_is_a_multiple_of_kl(kind: Divergence, share: float) -> None:
    """For q = p + d, to second order, KL and reverse KL are sum d^2 / p times 1/2, JS 1/8, Renyi of order 0.3 0.3/2.

    That sum is 7e-6 here, too little for float32.
    """
    p, q = [torch.tensor([row], dtype=torch.float64).log() for row in ([0.2, 0.3, 0.5], [0.201, 0.3, 0.499])]
    kl, other = (divergence(each, q, Reference(outputs=p), 0.3).item() for each in (Divergence.kl, kind))
    assert other / kl == pytest.approx(share, rel=0.01)


def test_js_is_at_most_log_2() -> None:
    """It is log 2 where the two distributions have nothing in common."""
    assert between(Divergence.js, [1 - 1e-12, 1e-12], [1e-12, 1 - 1e-12]) == pytest.approx(LOG2)
    apart = divergence(
        Divergence.js, torch.tensor([[200.0, -200.0]]), Reference(outputs=torch.tensor([[-200.0, 200.0]])), 0.5
    )
    assert apart.item() == pytest.approx(LOG2)


def test_gradient_of_kl() -> None:
    """The gradient in the logits is q - p."""
    logits = logits_of([QUARTERS])
    found = divergence(Divergence.kl, logits, Reference(outputs=logits_of([HALVES]).detach()), 0.5)
    assert gradient(found.sum(), logits).tolist() == [pytest.approx([-0.25, 0.25])]


def test_gradient_of_reverse_kl() -> None:
    """q_j (log(q_j / p_j) - D): 1/4 (log(1/2) - D) and 3/4 (log(3/2) - D)."""
    logits = logits_of([QUARTERS])
    found = divergence(Divergence.reverse_kl, logits, Reference(outputs=logits_of([HALVES]).detach()), 0.5)
    d = 0.75 * math.log(3) - LOG2
    expected = [(-LOG2 - d) / 4, 0.75 * (math.log(1.5) - d)]
    assert gradient(found.sum(), logits).tolist() == [pytest.approx(expected)]


def test_gradient_of_renyi() -> None:
    """q - w with w in proportion to p^a q^(1 - a): at order 2, 1/4 / 1/4 to 1/4 / 3/4, that is (3/4, 1/4)."""
    logits = logits_of([QUARTERS])
    found = divergence(Divergence.renyi, logits, Reference(outputs=logits_of([HALVES]).detach()), 2.0)
    assert gradient(found.sum(), logits).tolist() == [pytest.approx([-0.5, 0.5])]


def kept(p: list[float], k: int) -> Reference:
    """Return a reference of the k likeliest tokens alone."""
    top = torch.tensor([p], dtype=torch.float64).log().topk(k, dim=-1)
    return Reference(kept=(top.indices, top.values))


def test_one_token_and_the_rest() -> None:
    """(1/2, 0.3, 0.2) and (1/4, 0.7, 0.05), the likeliest kept, are (1/2, 1/2) and (1/4, 3/4): log(4/3) / 2."""
    found = divergence(Divergence.kl, logits_of([[0.25, 0.7, 0.05]]), kept([0.5, 0.3, 0.2], 1), 0.5)
    assert found.item() == pytest.approx(math.log(4 / 3) / 2)


@pytest.mark.parametrize("kind", list(Divergence))
def test_all_tokens_kept(kind: Divergence) -> None:
    """With all tokens kept it is the same, except that the empty rest counts as 1e-9."""
    p, q = [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]
    found = divergence(kind, logits_of([q]), kept(p, 3), 0.5)
    assert found.item() == pytest.approx(between(kind, p, q), abs=1e-8)


@pytest.mark.parametrize("kind", list(Divergence))
def test_keeping_fewer_never_sees_more(kind: Divergence) -> None:
    """Merging outcomes cannot take distributions further apart (data processing)."""
    p, q = [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]
    one, two, three = (divergence(kind, logits_of([q]), kept(p, k), 0.5).item() for k in (1, 2, 3))
    assert 0 < one < two < three <= between(kind, p, q) + 1e-9


def test_a_reference_is_needed() -> None:
    """The error says what is missing."""
    with pytest.raises(ValueError, match="reference"):
        divergence(Divergence.kl, logits_of([HALVES]), Reference(), 0.5)
