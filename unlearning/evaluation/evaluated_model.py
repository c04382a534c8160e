"""A model together with everything that decides what is measured of it."""

from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.prompt import PromptConfig
from unlearning.data.rows import Corpus
from unlearning.evaluation.distribution import WHOLE, Share


@dataclass(frozen=True)
class EvaluatedModel:
    """A model, its tokenizer, the data it is asked about, and the settings of the evaluation."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    corpus: Corpus
    config: EvaluationConfig
    prompt: PromptConfig
    share: Share = WHOLE
    """The items that this process measures, in those parts of the evaluation that can be divided."""
