"""Loads a model with its tokenizer, and checks what belongs together before anything slow begins."""

import logging
from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.config.model import ModelConfig
from unlearning.config.prompt import PromptConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.context import on_main_process
from unlearning.data.encoding import border_notice, encode_rows
from unlearning.data.rows import Corpus
from unlearning.evaluation.model_state import require_fits
from unlearning.models.capabilities import is_tested
from unlearning.models.load import load_model, load_tokenizer
from unlearning.models.match import end_of_text_notice, require_match
from unlearning.training.one_copy import has_no_values, loading_device
from unlearning.training.trainer import weights_dtype

log = logging.getLogger(__name__)


def load_pair(
    path: str, config: ModelConfig, trainer: TrainerConfig
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the model at the path and its tokenizer. Says so where they name different end-of-text tokens.

    The model is on its `loading_device`.

    Raises InputError as `load_model` and `load_tokenizer` do, and for a tokenizer with more tokens than embeddings.
    """
    tokenizer = load_tokenizer(path, config)
    dtype, device = weights_dtype(trainer), loading_device(trainer)
    model = load_model(path, config, dtype, device=device)
    if has_no_values(model) and not is_tested(model):
        # What can be done with it is found by running it.
        model = load_model(path, config, dtype)
    require_match(model, tokenizer)
    _say(end_of_text_notice(model, tokenizer))
    return model, tokenizer


def check_rows(
    corpus: Corpus, models: Sequence[PreTrainedModel], tokenizer: PreTrainedTokenizerBase, prompt: PromptConfig
) -> None:
    """Refuse rows that one of the models cannot take whole, and say where a token joins a prompt and its answer.

    The models' weights need not be there. Raises InputError as `encode_rows` does, and for a row longer than a model's
    context.
    """
    rows = [*corpus.forget, *corpus.retain, *corpus.unseen]
    for row, encoded in zip(rows, encode_rows(rows, tokenizer, prompt), strict=True):
        for model in models:
            require_fits(model, f"row {row.id}", len(encoded.input_ids), 0)
    _say(border_notice(rows, tokenizer, prompt))


def _say(line: str | None) -> None:
    """Print the line, if there is one, in the first of several processes."""
    if line is not None and on_main_process():
        log.warning(line)
