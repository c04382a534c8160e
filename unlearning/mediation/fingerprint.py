"""A hash of everything that a fact's scores depend on, which says whether scores on disk can be used again."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

from transformers import PreTrainedModel

from unlearning.config.trace import TraceConfig
from unlearning.mediation.encoded_fact import EncodedFact
from unlearning.models.weights_hash import weights_hash

WITHOUT_EFFECT = ("base_model", "select", "rule", "value", "min_total_effect", "memory_gib")
"""Settings that do not change what is measured. The base model counts by its weights, not by its name."""

NOT_ARCHITECTURE = ("_name_or_path", "transformers_version", "architectures")
"""Entries of a model's configuration that do not change what the model computes."""


def fingerprint(
    models: Sequence[PreTrainedModel], config: TraceConfig, facts: Sequence[EncodedFact], noise_scale: float
) -> str:
    """Return the SHA-256 of settings, tokens, noise, architecture and weights; the facts' order does not matter."""
    settings = {key: value for key, value in asdict(config).items() if key not in WITHOUT_EFFECT}
    tokens = sorted(
        (f.source.id, f.input_ids, list(f.subject), f.answer_start, f.foils, list(f.contrast or ())) for f in facts
    )
    digest = hashlib.sha256(json.dumps([settings, noise_scale, tokens]).encode())
    for model in models:
        digest.update(f"{model.config._attn_implementation}{_architecture(model)}".encode())
        digest.update(weights_hash(model).encode())
    return digest.hexdigest()


def _architecture(model: PreTrainedModel) -> str:
    """Return the model's configuration as JSON, without the entries that say where the model came from."""
    settings = {key: value for key, value in model.config.to_dict().items() if key not in NOT_ARCHITECTURE}
    return json.dumps(settings, sort_keys=True, default=str)
