"""What a run leaves in its folder: weights, metrics, generations and provenance."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.artefacts import bytes_in, write_folder, write_json, write_jsonl
from unlearning.config.commands import CommonConfig, MergeConfig, TraceCommandConfig, UnlearnConfig
from unlearning.config.data import sandbox_world
from unlearning.context import RunContext
from unlearning.evaluation.harness import by_task
from unlearning.evaluation.result import EvaluationResult
from unlearning.evaluation.semeval import official_record
from unlearning.mediation.selection import Selection
from unlearning.models.load import save_model
from unlearning.progress.shown import shown_progress
from unlearning.runs.provenance import provenance
from unlearning.scopes.adapters import adapters_moved_to, in_4_bits, save_adapters
from unlearning.training.unlearn import TrainedModel

MIB = 2**20


@dataclass(frozen=True)
class Outcome:
    """Everything that a run of unlearn or unlearn-merge found out."""

    results: Mapping[str, EvaluationResult]
    """Under "unlearned" and, where they were evaluated, "target" and "retrained"."""
    unlearned: TrainedModel
    traced: Selection | None
    seconds: Mapping[str, float]
    """Wall-clock seconds of each stage."""
    data_fingerprint: str


@dataclass(frozen=True)
class SavedRecords:
    """The contents of the two files that model card and report are made from."""

    metrics: dict[str, Any]
    """Content of metrics.json."""
    provenance: dict[str, Any]
    """Content of provenance.json."""


def merged(model: nn.Module) -> PreTrainedModel:
    """Return the model in evaluation mode, with its adapters, if it has any, merged into its weights."""
    from peft import PeftModel

    plain: Any = model.merge_and_unload() if isinstance(model, PeftModel) else model
    ready: PreTrainedModel = plain.eval()
    return ready


def save_weights(
    unlearned: TrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    run_dir: Path,
    keep: bool,
    load_in_full: Callable[[], PreTrainedModel],
) -> PreTrainedModel:
    """Merge adapters into the weights and return the merged model.

    With `keep`, model/ is written, and adapter/ where there are adapters, as safetensors. Adapters that were trained on
    4-bit weights are merged into the unquantised model that `load_in_full` loads.
    """
    from peft import PeftModel

    scoped = unlearned.model
    if keep and isinstance(scoped, PeftModel):
        write_folder(run_dir / "adapter", partial(save_adapters, scoped))
    model = merged(adapters_moved_to(load_in_full(), scoped) if in_4_bits(scoped) else scoped)
    if keep:
        write_folder(run_dir / "model", partial(save_and_show, model, tokenizer))
    return model


def save_and_show(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a model as `save_model` does, and show how much of it is written."""
    size = sum(weight.nbytes for weight in model.parameters())
    with shown_progress("saving, MiB", size // MIB, lambda: bytes_in(folder) // MIB):
        save_model(model, tokenizer, folder)


def save_evaluation(label: str, result: EvaluationResult, run_dir: Path) -> None:
    """Write one model's evaluation: the whole result, its generations, and the record of the official evaluator."""
    write_json(run_dir / "evaluation" / f"{label}.json", result.to_json())
    write_jsonl(run_dir / "generations.jsonl", [asdict(item) for item in result.generations])
    write_jsonl(run_dir / "evaluation_results.jsonl", [official_record(result)])


def save_evaluations(results: Mapping[str, EvaluationResult], run_dir: Path) -> None:
    """Write the evaluations of the unlearned model and of those that it is compared with."""
    for label in ("target", "retrained"):
        if label in results:
            write_json(run_dir / "evaluation" / f"{label}.json", results[label].to_json())
    save_evaluation("unlearned", results["unlearned"], run_dir)


def save_provenance(
    config: CommonConfig, data_fingerprint: str, stage_seconds: Mapping[str, float], context: RunContext
) -> dict[str, Any]:
    """Write provenance.json and return its content."""
    seeds = {"run": config.seed, "world": sandbox_world(config.data).seed}
    if isinstance(config, UnlearnConfig | TraceCommandConfig):
        seeds["trace"] = config.trace.seed
    record = provenance(
        code=context.code,
        data_fingerprint=data_fingerprint,
        seeds=seeds,
        overrides=context.overrides,
        tuned=context.tuned,
        started=context.started,
        ended=datetime.now(UTC),
        stage_seconds=stage_seconds,
    )
    write_json(context.run_dir / "provenance.json", record)
    return record


def save_outcome(config: UnlearnConfig | MergeConfig, outcome: Outcome, context: RunContext) -> SavedRecords:
    """Write provenance and metrics. metrics.json comes last, so that a folder that has it has all results."""
    run_dir = context.run_dir
    record = save_provenance(config, outcome.data_fingerprint, outcome.seconds, context)
    metrics = metrics_record(outcome, record)
    write_json(run_dir / "metrics.json", metrics)
    return SavedRecords(metrics, record)


def metrics_record(outcome: Outcome, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of metrics.json."""
    unlearned, traced = outcome.unlearned, outcome.traced
    metrics = {label: result.metrics for label, result in outcome.results.items()}
    return {
        "unlearned": metrics["unlearned"],
        "target": metrics.get("target"),
        "retrained": metrics.get("retrained"),
        "missing": outcome.results["unlearned"].missing,
        "scorers": outcome.results["unlearned"].scorers,
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
