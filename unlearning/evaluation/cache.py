"""Measurements kept on disk under a hash of all they depend on."""

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

METRICS_VERSION = 3
"""To be raised with every change of the code that can change a measured number, or that adds one."""
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
    """`evaluate`, with what was measured before of the same weights, data, tokenizer and settings by the same code.

    The parts of an evaluation lie in cache_dir/evaluations/<SHA-256>/, a file each; a corpus without a fingerprint is
    never cached. Scores over the parts are always computed anew.

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
    """SHA-256 over everything that a result depends on. Raises InputError for unmerged adapters."""
    return settings_hash(
        {
            "metrics": METRICS_VERSION,
            "weights": merged_weights_hash(model),
            "model": model_settings(model),
            "ends": sorted(end_tokens(model, tokenizer)),
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
    """The model's configuration, less what changes no result."""
    settings: dict[str, Any] = model.config.to_dict()
    return {key: value for key, value in settings.items() if key not in VOLATILE_CONFIG_KEYS}


def tokenizer_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 over vocabulary, merges, special tokens and chat template."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    content = tokenizer.get_vocab() if backend is None else json.loads(backend.to_str())
    # Set by the latest call, not by the tokenizer's files.
    for key in ("truncation", "padding"):
        if backend is not None:
            content.pop(key, None)
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    return settings_hash(content, special, tokenizer.chat_template, type(tokenizer).__name__)
