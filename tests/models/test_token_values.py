"""Values in chunks, with their gradient computed at once or later, equal those of all logits together."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from unlearning.models import token_values as module
from unlearning.models.token_values import Evaluate, token_values, tokens_together

WIDTH, VOCABULARY, POSITIONS = 8, 40, 23


def head_and_states() -> tuple[Tensor, Tensor, Tensor]:
    """Return a projection, hidden states and targets, in double precision."""
    torch.manual_seed(0)
    head = torch.randn(VOCABULARY, WIDTH, dtype=torch.float64, requires_grad=True)
    states = torch.randn(POSITIONS, WIDTH, dtype=torch.float64, requires_grad=True)
    return head, states, torch.randint(VOCABULARY, (POSITIONS,))


def squared_cross_entropy(head: Tensor, targets: Tensor) -> Evaluate:
    """Return a value that is not linear in the cross-entropy."""

    def evaluate(states: Tensor, part: slice) -> tuple[Tensor, Tensor]:
        nats = functional.cross_entropy(states @ head.T, targets[part], reduction="none")
        return nats**2, nats.detach()

    return evaluate


def plain(head: Tensor, states: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the values from all logits at once."""
    nats = functional.cross_entropy(states @ head.T, targets, reduction="none")
    return nats**2, nats


@pytest.mark.parametrize("frozen", [True, False])
def test_equals_all_logits_together(monkeypatch: pytest.MonkeyPatch, frozen: bool) -> None:
    """Chunks of 3 tokens give equal values and gradients, with an outer loss that is not linear either."""
    monkeypatch.setattr(module, "LEAST_TOKENS", 3)
    monkeypatch.setattr(module, "LOGITS_MIB", {"cpu": 0})
    head, states, targets = head_and_states()
    head.requires_grad_(not frozen)
    weights = torch.linspace(-1, 2, POSITIONS, dtype=torch.float64)
    wanted = [states] if frozen else [states, head]
    values, nats = token_values(states, squared_cross_entropy(head, targets), VOCABULARY, frozen)
    ours = torch.autograd.grad((weights * values.exp().log1p()).sum(), wanted)
    expected, expected_nats = plain(head, states, targets)
    theirs = torch.autograd.grad((weights * expected.exp().log1p()).sum(), wanted)
    torch.testing.assert_close(values, expected, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(nats, expected_nats, atol=1e-12, rtol=1e-12)
    assert not nats.requires_grad
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)


def test_without_gradients() -> None:
    """Under no_grad no gradient is kept."""
    head, states, targets = head_and_states()
    with torch.no_grad():
        values, _ = token_values(states, squared_cross_entropy(head.detach(), targets), VOCABULARY, True)
    assert not values.requires_grad


@pytest.mark.parametrize("frozen", [True, False])
def test_no_positions(frozen: bool) -> None:
    """Without tokens there are no values."""
    head, states, targets = head_and_states()
    values, nats = token_values(states[:0], squared_cross_entropy(head.detach(), targets), VOCABULARY, frozen)
    assert values.shape == nats.shape == (0,)


@pytest.mark.parametrize(
    ("device", "vocabulary", "count"),
    [("cpu", 1000, 6291), ("cpu", 49_152, 128), ("cpu", 262_144, 128), ("cuda", 262_144, 1024), ("mps", 1000, 6291)],
)
def test_a_large_vocabulary_has_as_many_tokens_together(device: str, vocabulary: int, count: int) -> None:
    """24 MiB (a GPU: 1 GiB) of float32 hold 6291 times 1000 logits, and 24 times 262,144: too few to be efficient."""
    assert tokens_together(device, vocabulary) == count
