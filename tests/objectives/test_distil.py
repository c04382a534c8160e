"""KL from the model before the run on forget rows, worked out by hand."""

import math

import pytest
import torch

from tests.objectives.made import gradient, logits_of, rows_from
from unlearning.objectives.distil import Distil
from unlearning.objectives.rows import Reference, ReferenceKind


def test_value_and_gradient() -> None:
    """1/2 log((1/2) / (1/4)) + 1/2 log((1/2) / (3/4)); q - p in the logits, and nothing where both are equal."""
    before = Reference(outputs=logits_of([[0.5, 0.5]]).detach())
    logits = logits_of([[0.25, 0.75]])
    rows = rows_from(Distil(), logits, [0], [0], before)
    terms = Distil().forget_terms(rows, None)
    assert terms.tolist() == pytest.approx([0.5 * math.log(2) + 0.5 * math.log(2 / 3)])
    assert gradient(terms.sum(), logits).tolist() == [pytest.approx([-0.25, 0.25])]
    same = logits_of([[0.5, 0.5]])
    found = Distil().forget_values(same, torch.tensor([0]), before)
    assert found.tolist() == pytest.approx([0.0], abs=1e-12)


def test_what_it_asks_for() -> None:
    """All outputs of the model before, on both sets."""
    assert Distil().forget_reference is ReferenceKind.outputs
    assert Distil(divergence_weight=1.0).retain_reference is ReferenceKind.outputs
    with pytest.raises(ValueError, match="reference"):
        Distil().forget_values(logits_of([[0.5, 0.5]]), torch.tensor([0]), Reference())
