"""Which models are asked, about what."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.data.rows import Corpus
from unlearning.probes.table import ModelRole


@dataclass(frozen=True)
class ModelsToProbe:
    """The models that are asked, and what they are asked about."""

    models: Mapping[ModelRole, Callable[[], PreTrainedModel]]
    """Loaded one after the other, in this order."""
    tokenizer: PreTrainedTokenizerBase
    corpus: Corpus
    adapter: bool
    """Whether the unlearned model was released as a LoRA adapter on the target."""
