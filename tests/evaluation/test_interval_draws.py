"""The parts of the bootstrap draws, by hand and compared with plain loops."""

import numpy as np
import pytest
from numpy.typing import NDArray

from unlearning.bootstrap import SEED, draw_indices
from unlearning.evaluation.intervals import ITEMS, drawn_auc, harmonic_means, item_draws


def test_drawn_auc_counts_pairs() -> None:
    """Members are 1, 3 and non-members 2, 3; an AUC counts the pairs whose member is lower, and equal pairs half.

    The draw 1, 3 | 2, 3 has 2.5 of 4 pairs, the draw 3, 3 | 2, 2 none, and the draw 1, 1 | 3, 2 all.
    """
    values: list[NDArray[np.float64]] = [np.array([1.0, 3.0]), np.array([2.0, 3.0])]
    places = [np.array([[0, 1], [1, 1], [0, 0]]), np.array([[0, 1], [0, 0], [1, 0]])]
    assert drawn_auc(values[0], values[1], places[0], places[1]).tolist() == [0.625, 0, 1]


def test_harmonic_means() -> None:
    """1/2 and 1/4 give 2 / (2 + 4) = 1/3, 0 and 1 give 0, 1 and 1 give 1; a missing term stays missing."""
    terms = np.array([[0.5, 0.0, 1.0, np.nan], [0.25, 1.0, 1.0, 1.0]])
    assert harmonic_means(terms).tolist() == pytest.approx([1 / 3, 0, 1, np.nan], nan_ok=True)


def test_values_of_one_document_are_drawn_together() -> None:
    """One document has two values, one has one. A draw has each 0, 1 or 2 times, so it has one of three means."""
    values = [("1sc1", 1.0), ("1qa0", 0.5), ("2qa0", 0.0)]
    assert set(item_draws(values, 50)) == {0.75, 0.5, 0.0}


def test_means_of_items_are_those_of_the_same_draws_one_by_one() -> None:
    """A loop over the places that were drawn gives the same means."""
    source = np.random.default_rng(3)
    values = [(f"{number}qa0", value) for number, value in enumerate(source.random(7))]
    drawn = draw_indices(np.random.default_rng([SEED, ITEMS]), 7, 20)
    assert item_draws(values, 20) == pytest.approx([np.mean([values[place][1] for place in line]) for line in drawn])
