"""JensUn's forget term by hand, and against the divergence written out over the whole vocabulary."""

import math

import pytest
import torch

from tests.objectives.made import LOG2, gradient, logits_of, rows_from
from unlearning.config.objective_choices import Answers
from unlearning.objectives.jensun import JensUn
from unlearning.objectives.rows import Reference

Q = [[0.5, 0.25, 0.25], [0.1, 0.7, 0.2], [1e-12, 1 - 2e-12, 1e-12]]
TARGETS = [0, 2, 2]


def written_out(q: list[float], target: int) -> float:
    """Return (KL(onehot, m) + KL(q, m)) / 2 with m their mean, summed over the vocabulary."""
    total = 0.0
    for token, mass in enumerate(q):
        own = float(token == target)
        mean = (own + mass) / 2
        total += sum(p * math.log(p / mean) for p in (own, mass) if p)
    return total / 2


def test_values_by_hand() -> None:
    """For q = 1/2: log 2 + (1/2 log 1/2 - 3/2 log 3/2) / 2 = 0.2158; all values as written out; log 2 for q near 0."""
    found = JensUn().forget_values(logits_of(Q), torch.tensor(TARGETS), Reference()).tolist()
    assert found[0] == pytest.approx(LOG2 + (0.5 * math.log(0.5) - 1.5 * math.log(1.5)) / 2)
    assert found[0] == pytest.approx(0.21576, abs=1e-5)
    assert found == pytest.approx([written_out(q, target) for q, target in zip(Q, TARGETS, strict=True)], abs=1e-12)
    assert found[2] == pytest.approx(LOG2)
    certain = JensUn().forget_values(torch.tensor([[200.0, 0.0]]), torch.tensor([0]), Reference())
    assert certain.tolist() == pytest.approx([0.0], abs=1e-6)


def test_gradient_by_hand() -> None:
    """With s = log(q / (1 + q)) / 2: s q (1 - q) in the target's logit, -s q q_j in another, halved by the mean."""
    logits = logits_of(Q[:2])
    rows = rows_from(JensUn(), logits, TARGETS[:2], [0, 0])
    found = gradient(JensUn().forget_terms(rows, None).sum(), logits)
    expected = []
    for q, target in zip(Q[:2], TARGETS, strict=False):
        slope = math.log(q[target] / (1 + q[target])) / 2
        expected.append([slope * q[target] * (float(token == target) - mass) / 2 for token, mass in enumerate(q)])
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_what_it_asks_for() -> None:
    """The fixed text in place of the answers."""
    assert JensUn().forget_answers is Answers.repeated
