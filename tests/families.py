"""The families of models as pytest's parameters: by default one family of each kind of architecture."""

import pytest

from tests.rotation import left_out
from tests.tiny_models import ALL_FAMILIES, FAMILIES, STATEFUL

DISTINCT = (*FAMILIES, "gpt_neo", "falcon", "phi3", "mixtral", "gpt_oss", "opt")
"""Families that can be traced, each with a part that no other one here has: its attention, its experts, its names."""
DISTINCT_STATEFUL = ("qwen3_5_text", "granitemoehybrid", "mamba2")
"""A hybrid of linear attention, one of Mamba 2, and Mamba 2 alone."""
EVERY_FAMILY = [pytest.param(name, marks=left_out(name not in DISTINCT)) for name in ALL_FAMILIES]
"""All that can be traced; `-m exhaustive` has those that are not in DISTINCT."""
EVERY_STATEFUL = [pytest.param(name, marks=left_out(name not in DISTINCT_STATEFUL)) for name in STATEFUL]
