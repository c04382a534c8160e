"""Ranges of what unlearn-merge is told."""

import math
from typing import Any

import pytest

from unlearning.config.checks import check_ranges
from unlearning.config.commands import MergeConfig
from unlearning.errors import InputError


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"adapters": []}, r"adapters=\[\]: must be two folders or more"),
        ({"adapters": ["a"]}, r"adapters=\['a'\]: must be two folders or more"),
        ({"weights": [1.0]}, r"weights=\[1\.0\]: must be 2 numbers"),
        ({"weights": [0.0, 0.0]}, "must be finite and not all 0"),
        ({"weights": [math.nan, 1.0]}, "must be finite and not all 0"),
        ({"density": 0.0}, r"density=0\.0: must be in \(0, 1\]"),
        ({"density": 1.5}, r"density=1\.5: must be in \(0, 1\]"),
    ],
)
def test_ranges(changes: dict[str, Any], words: str) -> None:
    """Ranges are checked when the configuration becomes objects."""
    with pytest.raises(InputError, match=words):
        check_ranges(MergeConfig(**{"name": "merge", "adapters": ["a", "b"], **changes}), "")
