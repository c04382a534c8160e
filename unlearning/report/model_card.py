"""The README.md of a saved model: what it is, how it was made, what was measured, what it is not."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from unlearning.evaluation.metrics import METRICS
from unlearning.report.page import render
from unlearning.report.settings import data_set_name, flatten, readable
from unlearning.runs.provenance import without_home

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_SHOWN = (
    *("objective.", "scope.", "schedule.", "ratio.", "optimizer.", "prompt.", "stopping.", "update_scale"),
    *("adapters", "weights", "combination", "density", "majority_sign_method", "seed"),
)
"""Beginnings of the keys that say how the model was made; of the last line the first five are those of a merge."""
_TITLES = {"target": "untouched target", "retrained": "retrained model", "unlearned": "**this model**"}


def model_card(
    config: Mapping[str, Any], metrics: Mapping[str, Any], provenance: Mapping[str, Any], adapter: bool = False
) -> str:
    """Return Markdown with the front matter that Hugging Face reads.

    `config` is the resolved configuration, `metrics` the content of metrics.json, `provenance` that of
    provenance.json; `adapter` says that the folder holds a PEFT adapter rather than whole weights.
    """
    model = config.get("model", {})
    models = {title: metrics[name] for name, title in _TITLES.items() if metrics.get(name)}
    settings = [readable(key, value) for key, value in flatten(without_home(config)).items() if key.startswith(_SHOWN)]
    values = {
        "code": _code,
        "method": config.get("method", "unlearned"),
        "model": model.get("name", "model"),
        "what": "A PEFT adapter" if adapter else "A causal language model",
        "data": data_set_name(config.get("data", {}).get("_target_", "unknown")),
        "base": model.get("path"),
        "settings": settings,
        "models": models,
        "descriptions": METRICS,
        "missing": metrics.get("missing") or [],
        "provenance": flatten(without_home(provenance)),
    }
    text = render("model_card.md.j2", values)
    front = _front_matter(str(model.get("path") or ""), adapter)
    return str(ModelCard(f"---\n{front.to_yaml()}\n---\n\n{text}", ignore_metadata_errors=True)) + "\n"


def _front_matter(path: str, adapter: bool) -> ModelCardData:
    """Return the front matter. A base model is named only if it is a repository: the hub rejects a local folder."""
    card = ModelCardData(
        library_name="peft" if adapter else "transformers",
        pipeline_tag="text-generation",
        tags=["unlearning", "machine-unlearning", "semeval-2025-task-4"],
    )
    if _HUB_NAME.fullmatch(path) and not Path(path).exists():
        card["base_model"], card["base_model_relation"] = path, "adapter" if adapter else "finetune"
    return card


def _code(value: object) -> str:
    """Return the value as code, on one line, so that nothing in it is read as Markdown or HTML or breaks a table."""
    text = " ".join(str(without_home(str(value))).split()).replace("`", "'").replace("|", "\\|")
    return f"`{text}`" if text else "(blank)"
