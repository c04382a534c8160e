"""The models that are probed, and what they are asked about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.data.rows import Corpus
from unlearning.probes.table import ModelRole


@dataclass(frozen=True)
class ModelsToProbe:
    """The models that are probed, with their tokenizer and the data whose forget set they are asked about."""

    models: Mapping[ModelRole, Callable[[], PreTrainedModel]]
    """Functions that load the models; they are called one after the other, in this order."""
    tokenizer: PreTrainedTokenizerBase
    corpus: Corpus
    adapter: bool
    """Whether the unlearned model was released as a LoRA adapter on the target model."""
