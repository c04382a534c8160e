"""Three small OLMo models that differ in what they say, since this decides how long generation takes."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.config.model import ModelConfig
from unlearning.config.objective_choices import Reduction
from unlearning.config.optimizer import OptimizerConfig
from unlearning.config.prompt import PromptConfig
from unlearning.config.trainer import TrainerConfig
from unlearning.data.encoding import EncodedRow, encode_rows
from unlearning.data.rows import Row
from unlearning.models.create import create_model
from unlearning.objectives.finetune import Finetune
from unlearning.schedules.mixed import MixedSchedule
from unlearning.training.fit import fit
from unlearning.training.step_data import TrainingRows
from unlearning.training.task import TrainingTask

VOCABULARY, EOS, PAD, CONTEXT_TOKENS = 50304, 50279, 1, 4096
"""These are the values of OLMo."""
RESTLESS_SCALE = 0.05
"""Standard deviation of the weights, in place of 0.02; it is large enough for texts that never repeat themselves."""
BATCH_ROWS, LR, WARMUP_STEPS = 16, 2e-3, 30


def repeating(layers: int, width: int) -> PreTrainedModel:
    """Return a model with the random weights of transformers: like a collapsed model it soon repeats two words."""
    return _olmo(VOCABULARY, layers, width)


def wandering(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model with larger random weights: it neither repeats itself nor ends, so no draft is right."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, RESTLESS_SCALE, generator=generator)
    return model


def remembering(
    layers: int, width: int, rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, epochs: int
) -> PreTrainedModel:
    """Trained until it says most of the rows' outputs, and ends there.

    Trained in a vocabulary of the rows' own tokens, which takes an eighth of the time, and put into the whole one: the
    logit of any other token is 0, which is never the highest.
    """
    encoded = encode_rows(rows, tokenizer, PromptConfig())
    own = torch.tensor(sorted({token for row in encoded for token in row.input_ids}))
    known = [replace(row, input_ids=_numbered(row, own)) for row in encoded]
    small = _olmo(len(own), layers, width)
    plan = MixedSchedule(epochs, BATCH_ROWS).plan([], [len(row.input_ids) for row in known], None, 0)
    optimizer = OptimizerConfig(lr=LR, warmup_steps=WARMUP_STEPS)
    rows = TrainingRows(forget=(), refusals=(), retain=known)
    task = TrainingTask(small, Finetune(reduction=Reduction.token), plan, rows, 0, optimizer, 0, "benchmark")
    with tempfile.TemporaryDirectory() as folder:
        fit(task, TrainerConfig(accelerator="cpu", devices="1"), Path(folder), [])
    model, weights = repeating(layers, width), small.state_dict()
    with torch.no_grad():
        for name, weight in model.state_dict().items():
            if len(weight) != VOCABULARY:
                weight.copy_(weights[name])
                continue
            if name.startswith("lm_head"):
                weight.zero_()
            weight[own] = weights[name]
    return model


def _olmo(vocabulary: int, layers: int, width: int) -> PreTrainedModel:
    config = ModelConfig(name="olmo", layers=layers, width=width, heads=width // 64)
    model = create_model(config, vocabulary, min(EOS, vocabulary - 1), PAD, seed=0)
    model.config.max_position_embeddings = CONTEXT_TOKENS
    return model.eval()


def _numbered(row: EncodedRow, own: torch.Tensor) -> tuple[int, ...]:
    """Return the row's tokens as indices in a sorted vocabulary."""
    return tuple(torch.searchsorted(own, torch.tensor(row.input_ids)).tolist())
