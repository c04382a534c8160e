"""What a run leaves in its folder: weights, metrics, generations, provenance, report."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.artefacts import write_folder, write_json, write_jsonl, write_text
from unlearning.config import UnlearnConfig
from unlearning.config.commands import MergeConfig
from unlearning.context import RunContext
from unlearning.evaluation.harness import by_task
from unlearning.evaluation.result import EvaluationResult
from unlearning.evaluation.semeval import official_record
from unlearning.mediation.selection import Selection
from unlearning.models.load import save_model
from unlearning.report.html import write_run_report
from unlearning.report.model_card import model_card
from unlearning.runs.job import mark_finished
from unlearning.runs.provenance import provenance
from unlearning.scopes.adapters import adapters_moved_to, in_4_bits
from unlearning.training.stage import Unlearned


@dataclass(frozen=True)
class Outcome:
    """All that a finished run has to say."""

    results: Mapping[str, EvaluationResult]
    """Under "unlearned" and, where they were asked for, "target" and "retrained"."""
    unlearned: Unlearned
    traced: Selection | None
    seconds: Mapping[str, float]
    """Wall-clock of each stage."""
    data_fingerprint: str


def merged(model: nn.Module) -> PreTrainedModel:
    """The plain model, its adapters (if there are any) merged into its weights, in evaluation mode."""
    from peft import PeftModel

    plain: Any = model.merge_and_unload() if isinstance(model, PeftModel) else model
    ready: PreTrainedModel = plain.eval()
    return ready


def save_weights(
    unlearned: Unlearned,
    tokenizer: PreTrainedTokenizerBase,
    run_dir: Path,
    keep: bool,
    whole: Callable[[], PreTrainedModel],
) -> PreTrainedModel:
    """Merge adapters into the weights; with `keep`, write adapter/ (where LoRA was used) and model/ (safetensors).

    Adapters that were trained on 4-bit weights are merged into the unquantised model that `whole` loads.
    """
    from peft import PeftModel

    scoped = unlearned.model
    if keep and isinstance(scoped, PeftModel):
        write_folder(run_dir / "adapter", scoped.save_pretrained)
    model = merged(adapters_moved_to(whole(), scoped) if in_4_bits(scoped) else scoped)
    if keep:
        write_folder(run_dir / "model", partial(save_model, model, tokenizer))
    return model


def save_evaluation(label: str, result: EvaluationResult, run_dir: Path) -> None:
    """One model's evaluation: all of it, its generations, and the official evaluator's record."""
    write_json(run_dir / "evaluation" / f"{label}.json", result.to_json())
    write_jsonl(run_dir / "generations.jsonl", [asdict(item) for item in result.generations])
    write_jsonl(run_dir / "evaluation_results.jsonl", [official_record(result)])


def save_outcome(config: UnlearnConfig | MergeConfig, outcome: Outcome, context: RunContext) -> Path:
    """Everything but the weights; metrics.json comes last before the report. Returns the report's path."""
    run_dir = context.run_dir
    for label in ("target", "retrained"):
        if label in outcome.results:
            write_json(run_dir / "evaluation" / f"{label}.json", outcome.results[label].to_json())
    save_evaluation("unlearned", outcome.results["unlearned"], run_dir)
    seeds = {"run": config.seed, "world": config.data.world.seed}
    record = provenance(
        data_fingerprint=outcome.data_fingerprint,
        seeds=seeds | ({"trace": config.trace.seed} if isinstance(config, UnlearnConfig) else {}),
        overrides=context.overrides,
        started=context.started,
        ended=datetime.now(UTC),
        stage_seconds=outcome.seconds,
    )
    write_json(run_dir / "provenance.json", record)
    metrics = metrics_record(outcome, record)
    write_json(run_dir / "metrics.json", metrics)
    if config.save_model:
        card = model_card(config=context.resolved, metrics=metrics, provenance=record)
        write_text(run_dir / "model" / "README.md", card)
    mark_finished(run_dir)
    return write_run_report(run_dir)


def metrics_record(outcome: Outcome, record: Mapping[str, Any]) -> dict[str, Any]:
    """The content of metrics.json."""
    unlearned, traced = outcome.unlearned, outcome.traced
    metrics = {label: result.metrics for label, result in outcome.results.items()}
    return {
        "unlearned": metrics["unlearned"],
        "target": metrics.get("target"),
        "retrained": metrics.get("retrained"),
        "missing": outcome.results["unlearned"].missing,
        "harness": {label: by_task(result) for label, result in outcome.results.items() if by_task(result)},
        "training": {
            **asdict(unlearned.record),
            "parameters": unlearned.parameters,
            "trainable_parameters": unlearned.trainable_parameters,
            "peak_memory_bytes": record.get("peak_memory_bytes"),
        },
        "trace": None
        if traced is None
        else {
            "layers": list(traced.layers),
            "module": str(traced.module),
            "rule": str(traced.rule),
            "seconds": outcome.seconds.get("trace"),
        },
    }
