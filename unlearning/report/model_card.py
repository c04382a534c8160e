"""The README.md of a saved model: what it is, how it was made, what was measured, what it is not."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from unlearning.evaluation.metrics import METRICS
from unlearning.report.grouping import flatten, readable
from unlearning.report.labels import data_set_name
from unlearning.report.summary import number
from unlearning.runs.provenance import without_home

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_PARTS = ("objective.", "scope.", "schedule.", "ratio.", "optimizer.", "prompt.", "stopping.")
_MERGED = ("adapters", "weights", "combination", "density", "majority_sign_method")
_INTENDED = """\
For research on machine unlearning: to measure what is left of the forget set and what was lost besides it.

- The scores say how this model answers the probes they were computed on. They do not show that the information
  is gone from the weights: rephrased questions, other languages, further fine-tuning, quantisation and attacks on
  the hidden states can bring unlearned text back.
- It is no remedy for a legal duty to erase data, and no safety filter.
- Whatever the base model gets wrong, this model does too, and unlearning may have made it worse where no probe looks.
"""


def model_card(
    config: Mapping[str, Any], metrics: Mapping[str, Any], provenance: Mapping[str, Any], adapter: bool = False
) -> str:
    """Markdown with the front matter that Hugging Face reads.

    `config` is the resolved configuration, `metrics` the content of metrics.json, `provenance` that of
    provenance.json; `adapter` says that the folder holds a PEFT adapter rather than whole weights.
    """
    model = config.get("model", {})
    base = _code(model["path"]) if model.get("path") else "the sandbox's own target model"
    data = data_set_name(config.get("data", {}).get("_target_", "unknown"))
    what = "A PEFT adapter" if adapter else "A causal language model"
    sections = [
        _front_matter(config, adapter),
        f"# {_code(config.get('method', 'unlearned'))} on {_code(model.get('name', 'model'))}",
        f"{what} from which the forget set of {_code(data)} was unlearned. Base: {base}.",
        f"## Method\n\n{_settings(config)}",
        f"## Scores\n\n{_scores(metrics)}",
        f"## Intended use and limits\n\n{_INTENDED.strip()}",
        f"## Provenance\n\n{_facts(provenance)}",
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(config: Mapping[str, Any], adapter: bool) -> str:
    """A base model is named only if it is a repository: the hub rejects a card with a local folder in it."""
    values: dict[str, Any] = {
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["unlearning", "machine-unlearning", "semeval-2025-task-4"],
    }
    base = str(config.get("model", {}).get("path") or "")
    if _HUB_NAME.fullmatch(base) and not Path(base).exists():
        values = {"base_model": base, "base_model_relation": "adapter" if adapter else "finetune", **values}
    return f"---\n{yaml.safe_dump(values, sort_keys=False)}---"


def _settings(config: Mapping[str, Any]) -> str:
    flat = flatten(without_home(config))
    shown = (*_PARTS, *_MERGED, "update_scale")
    chosen = [readable(key, value) for key, value in flat.items() if key.startswith(shown)]
    chosen += [(key, flat[key]) for key in ("seed",) if key in flat]
    return _table(("setting", "value"), [(_code(key), _code(value)) for key, value in chosen])


def _scores(metrics: Mapping[str, Any]) -> str:
    names = [name for name in ("target", "retrained", "unlearned") if metrics.get(name)]
    titles = {"target": "untouched target", "retrained": "retrained model", "unlearned": "**this model**"}
    rows = []
    for key, about in METRICS.items():
        values = [metrics[name].get(key) for name in names]
        if any(value is not None for value in values):
            rows.append((_code(key), *(number(value, key) for value in values), about.sentence.replace("|", "\\|")))
    table = _table(("metric", *(titles[name] for name in names), "meaning"), rows)
    missing = "; ".join(map(_code, metrics.get("missing") or []))
    return f"{table}\n\nNot measured: {missing}." if missing else table


def _facts(record: Mapping[str, Any]) -> str:
    if not record:
        return "Not recorded."
    facts = flatten(without_home(record)).items()
    return _table(("fact", "value"), [(_code(key), _code(value)) for key, value in facts])


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _code(value: object) -> str:
    """As code, so that nothing in it is read as Markdown or HTML, on one line and without breaking a table."""
    text = " ".join(str(without_home(str(value))).split()).replace("`", "'").replace("|", "\\|")
    return f"`{text}`" if text else "(blank)"
