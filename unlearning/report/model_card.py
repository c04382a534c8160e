"""The README.md of a saved model: what it is, how it was made, what was measured, what it is not."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData
from jinja2 import Template

from unlearning.evaluation.metrics import METRICS
from unlearning.report.settings import data_set_name, flatten, readable
from unlearning.report.statistic import number
from unlearning.runs.provenance import without_home

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_SHOWN = (
    *("objective.", "scope.", "schedule.", "ratio.", "optimizer.", "prompt.", "stopping.", "update_scale"),
    *("adapters", "weights", "combination", "density", "majority_sign_method"),
)
"""Beginnings of the keys that say how the model was made; the last ones are those of a merge."""
_TITLES = {"target": "untouched target", "retrained": "retrained model", "unlearned": "**this model**"}
_CARD = Template(
    """\
# {{ method }} on {{ model }}

{{ what }} from which the forget set of {{ data }} was unlearned. Base: {{ base }}.

## Method

{{ settings }}

## Scores

{{ scores }}{% if missing %}


Not measured: {{ missing }}.{% endif %}


## Intended use and limits

For research on machine unlearning: to measure what is left of the forget set and what was lost besides it.

- The scores say how this model answers the probes they were computed on. They do not show that the information
  is gone from the weights: rephrased questions, other languages, further fine-tuning, quantisation and attacks on
  the hidden states can bring unlearned text back.
- It is no remedy for a legal duty to erase data, and no safety filter.
- Whatever the base model gets wrong, this model does too, and unlearning may have made it worse where no probe looks.

## Provenance

{{ provenance }}
"""
)


def model_card(
    config: Mapping[str, Any], metrics: Mapping[str, Any], provenance: Mapping[str, Any], adapter: bool = False
) -> str:
    """Return Markdown with the front matter that Hugging Face reads.

    `config` is the resolved configuration, `metrics` the content of metrics.json, `provenance` that of
    provenance.json; `adapter` says that the folder holds a PEFT adapter rather than whole weights.
    """
    model = config.get("model", {})
    flat = flatten(without_home(config))
    settings = [readable(key, value) for key, value in flat.items() if key.startswith(_SHOWN) or key == "seed"]
    record = flatten(without_home(provenance))
    text = _CARD.render(
        method=_code(config.get("method", "unlearned")),
        model=_code(model.get("name", "model")),
        what="A PEFT adapter" if adapter else "A causal language model",
        data=_code(data_set_name(config.get("data", {}).get("_target_", "unknown"))),
        base=_code(model["path"]) if model.get("path") else "the sandbox's own target model",
        settings=_table(("setting", "value"), ((_code(key), _code(value)) for key, value in settings)),
        scores=_scores(metrics),
        missing="; ".join(map(_code, metrics.get("missing") or [])),
        provenance=_table(("fact", "value"), ((_code(key), _code(value)) for key, value in record.items()))
        if record
        else "Not recorded.",
    )
    front = _card_data(str(model.get("path") or ""), adapter)
    return str(ModelCard(f"---\n{front.to_yaml()}\n---\n\n{text}", ignore_metadata_errors=True)) + "\n"


def _card_data(path: str, adapter: bool) -> ModelCardData:
    """Return the front matter. A base model is named only if it is a repository: the hub rejects a local folder."""
    card = ModelCardData(
        library_name="peft" if adapter else "transformers",
        pipeline_tag="text-generation",
        tags=["unlearning", "machine-unlearning", "semeval-2025-task-4"],
    )
    if _HUB_NAME.fullmatch(path) and not Path(path).exists():
        card["base_model"], card["base_model_relation"] = path, "adapter" if adapter else "finetune"
    return card


def _scores(metrics: Mapping[str, Any]) -> str:
    names = [name for name in _TITLES if metrics.get(name)]
    rows = []
    for key, about in METRICS.items():
        values = [metrics[name].get(key) for name in names]
        if any(value is not None for value in values):
            rows.append((_code(key), *(number(value, key) for value in values), about.sentence.replace("|", "\\|")))
    return _table(("metric", *(_TITLES[name] for name in names), "meaning"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def _code(value: object) -> str:
    """Return the value as code, on one line, so that nothing in it is read as Markdown or HTML or breaks a table."""
    text = " ".join(str(without_home(str(value))).split()).replace("`", "'").replace("|", "\\|")
    return f"`{text}`" if text else "(blank)"
