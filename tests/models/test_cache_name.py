"""The cache is given to models under the name that the installed Transformers has for it."""

from inspect import signature
from pathlib import Path

import pytest
from transformers import GenerationMixin
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from tests.families import DISTINCT
from unlearning.models.cache_name import CACHE_NAME

PACKAGE = Path(__file__).parents[2] / "unlearning"


@pytest.mark.parametrize("family", DISTINCT)
def test_every_family_takes_a_cache_under_this_name(family: str) -> None:
    """A name that is only deprecated is not in the signature."""
    model_class = MODEL_FOR_CAUSAL_LM_MAPPING[CONFIG_MAPPING[family]]
    assert CACHE_NAME in signature(model_class.forward).parameters


def test_generation_takes_it_too() -> None:
    """`generate` hands its argument to the step that prepares the inputs of a forward pass."""
    assert CACHE_NAME in signature(GenerationMixin.prepare_inputs_for_generation).parameters


def test_no_other_file_writes_the_name_itself() -> None:
    """A call with the older name warns under Transformers 5.24, and fails from 5.40 on."""
    files = [path.name for path in PACKAGE.rglob("*.py") if "past_key_values" in path.read_text(encoding="utf-8")]
    assert files == ["cache_name.py"]
