"""Evaluations kept on disk, each under a hash of everything that it depends on."""

import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.prompt import PromptConfig
from unlearning.data.rows import Corpus
from unlearning.errors import InputError
from unlearning.evaluation.distribution import ProcessGroup
from unlearning.evaluation.evaluate import evaluate
from unlearning.evaluation.generation import end_tokens
from unlearning.evaluation.result import EvaluationResult
from unlearning.identity import settings_hash
from unlearning.models.weights_hash import weights_hash

METRICS_VERSION = 6
"""Must be raised with every change of the code that can change a measured number, adds one or renames one."""
VOLATILE_CONFIG_KEYS = ("_name_or_path", "transformers_version", "use_cache")


def cached_evaluate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    corpus: Corpus,
    config: EvaluationConfig,
    prompt: PromptConfig,
    label: str,
    cache_dir: Path,
    reference: EvaluationResult | None = None,
    processes: ProcessGroup | None = None,
) -> EvaluationResult:
    """Return the result of `evaluate`, reusing what the same code measured of the same weights, data and settings.

    Each part of an evaluation is a file in cache_dir/evaluations/<SHA-256>/. A corpus without a fingerprint is never
    cached. The metrics over the parts are always computed anew.

    Raises InputError as `evaluate`, and for a model with unmerged adapters, whose scaling the weights do not show.
    """
    folder = None
    if corpus.fingerprint:
        folder = cache_dir / "evaluations" / cache_key(model, tokenizer, corpus, config, prompt)
    return evaluate(model, tokenizer, corpus, config, prompt, label, reference, folder, processes)


def cache_key(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    corpus: Corpus,
    config: EvaluationConfig,
    prompt: PromptConfig,
) -> str:
    """Return the SHA-256 of everything that a result depends on. Raises InputError for unmerged adapters."""
    return settings_hash(
        {
            "metrics": METRICS_VERSION,
            "weights": merged_weights_hash(model),
            "model": model_settings(model),
            "ends": sorted(end_tokens(model, tokenizer, prompt)),
            "tokenizer": tokenizer_hash(tokenizer),
            "corpus": corpus.fingerprint,
        },
        config,
        prompt,
    )


def merged_weights_hash(model: PreTrainedModel) -> str:
    """Return `weights_hash`. Raises InputError for unmerged adapters, whose scaling the weights do not show."""
    for name in model.state_dict():
        if ".lora_" in name:
            raise InputError(f"weight {name}: the model has an adapter; it must be merged before evaluation")
    return weights_hash(model)


def model_settings(model: PreTrainedModel) -> dict[str, Any]:
    """Return the model's configuration without the keys that change no result."""
    settings: dict[str, Any] = model.config.to_dict()
    return {key: value for key, value in settings.items() if key not in VOLATILE_CONFIG_KEYS}


def tokenizer_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the SHA-256 of vocabulary, merges, special tokens and chat template."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    content = tokenizer.get_vocab() if backend is None else json.loads(backend.to_str())
    # The latest call sets these two, not the tokenizer's files.
    for key in ("truncation", "padding"):
        if backend is not None:
            content.pop(key, None)
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    return settings_hash(content, special, tokenizer.chat_template, type(tokenizer).__name__)
