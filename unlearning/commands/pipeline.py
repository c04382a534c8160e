"""The stages of a run in order: load, trace, evaluate what was, unlearn, evaluate what is, report.

Each stage leaves its artefact in the run folder, written whole or not at all; a run that is taken up again in the same
folder starts with the first stage that is not there yet.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from rich.console import Console

from unlearning.artefacts import write_folder, write_json
from unlearning.commands.evaluate_stage import evaluate_model, evaluate_references, evaluate_retrained
from unlearning.commands.memorise import build_sandbox, memorise, sandbox_folder, starting_point
from unlearning.commands.merging import find_adapters, merge_adapters
from unlearning.commands.probe_stage import probe_summary, probe_unlearned
from unlearning.commands.subject import Subject, load_subject
from unlearning.commands.trace_stage import one_process_a_device, trace_subject, trace_summary, traced_layers
from unlearning.config import (
    EvaluateConfig,
    MemoriseConfig,
    TraceCommandConfig,
    TracedScopeConfig,
    UnlearnConfig,
)
from unlearning.config.commands import MergeConfig
from unlearning.config.model import Quantization
from unlearning.context import RunContext, on_main_process
from unlearning.data.readers import load_corpus
from unlearning.evaluation import harness
from unlearning.evaluation.distribution import FabricTeam
from unlearning.evaluation.result import EvaluationResult
from unlearning.mediation.layers import read_layers
from unlearning.mediation.selection import Selection
from unlearning.mediation.trace import LAYERS
from unlearning.models.load import load_model, save_model
from unlearning.report.html import write_evaluation_report, write_trace_report
from unlearning.report.probe_table import print_probes
from unlearning.report.result_table import print_result
from unlearning.report.trace_figures import write_trace_plots
from unlearning.runs import folder as run_folder
from unlearning.runs import tracking
from unlearning.training.fit import TrainingRecord
from unlearning.training.hardware import require_hardware
from unlearning.training.stage import Unlearned, unlearn_model
from unlearning.training.trainer import merged_dtype

console = Console()


@dataclass
class Stages:
    """Wall-clock seconds of each stage, announced as they begin."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        if on_main_process():
            console.print(f"[bold cyan]>[/bold cyan] {name}")
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 3)


def run_unlearn(config: UnlearnConfig, context: RunContext) -> None:
    """The whole pipeline into one run folder. Raises InputError for what a user can mend, Interrupted on Ctrl-C."""
    stages = Stages()
    harness.require_harness(config.evaluation.harness)
    if on_main_process():
        console.rule(f"[bold]{config.name}[/bold]  seed {config.seed}", align="left", style="cyan")
    if isinstance(config.scope, TracedScopeConfig) and config.scope.layers_file is not None:
        read_layers(Path(config.scope.layers_file))  # a bad file is refused before anything slow
    with stages.stage("load"):
        subject = load_subject(config)
    traced = None
    if isinstance(config.scope, TracedScopeConfig):
        with stages.stage("trace"):
            traced = traced_layers(config, subject, context.run_dir)
    results: dict[str, EvaluationResult] = {}
    if config.evaluation.references and on_main_process():
        with stages.stage("evaluate the target and the retrained model"):
            results |= evaluate_references(config, subject)
    loggers = _loggers(config, context, "unlearn")
    with stages.stage("unlearn"):
        unlearned = unlearn_model(
            config, subject.model, subject.tokenizer, subject.corpus, traced, context.run_dir, loggers
        )
    if on_main_process():
        _conclude(config, context, stages, subject, unlearned, traced, results, loggers)


def run_merge(config: MergeConfig, context: RunContext) -> None:
    """Merge the adapters of finished runs; weights, scores and report as `run_unlearn` leaves them."""
    stages = Stages()
    harness.require_harness(config.evaluation.harness)
    adapters = find_adapters(config)  # what cannot be merged is refused before anything slow
    with stages.stage("load"):
        subject = load_subject(config)
    results: dict[str, EvaluationResult] = {}
    if config.evaluation.references:
        with stages.stage("evaluate the target and the retrained model"):
            results |= evaluate_references(config, subject)
    loggers = _loggers(config, context, "merge")
    parameters = sum(parameter.numel() for parameter in subject.model.parameters())
    with stages.stage("merge"):
        merged = merge_adapters(config, adapters, subject.model, subject.path)
    adapted = sum(parameter.numel() for parameter in merged.parameters()) - parameters
    took = stages.seconds["merge"]
    record = TrainingRecord(seconds=took, steps=0, tokens=0, rows=0, stopped=None, best_step=None)
    unlearned = Unlearned(merged, record, parameters, adapted)
    _conclude(config, context, stages, subject, unlearned, None, results, loggers)


def _conclude(
    config: UnlearnConfig | MergeConfig,
    context: RunContext,
    stages: Stages,
    subject: Subject,
    unlearned: Unlearned,
    traced: Selection | None,
    results: dict[str, EvaluationResult],
    loggers: list[Logger],
) -> None:
    """Evaluate the unlearned model beside `results`, and leave everything in the run folder."""
    in_full = replace(config.model, quantization=Quantization.none)
    whole = partial(load_model, subject.path, in_full, merged_dtype(config.trainer, config.model))
    with stages.stage("evaluate the unlearned model"):
        model = run_folder.save_weights(unlearned, subject.tokenizer, context.run_dir, config.save_model, whole)
        results["unlearned"] = evaluate_model(config, subject, model, "unlearned", results.get("retrained"))
    summary = results["unlearned"].metrics
    if isinstance(config, UnlearnConfig) and config.probes:
        with stages.stage("probe"):
            lines = probe_unlearned(config, subject, unlearned, model, context.run_dir)
        print_probes(list(lines.values()))
        summary = {**summary, **probe_summary(lines)}
    outcome = run_folder.Outcome(results, unlearned, traced, stages.seconds, subject.corpus.fingerprint)
    with stages.stage("report"):
        report = run_folder.save_outcome(config, outcome, context)
        plots = sorted((context.run_dir / "plots").glob("*.png"))
        weights = context.run_dir / "model" if config.logger.log_model and config.save_model else None
        tracking.finish(loggers, summary, plots, results["unlearned"].generations, weights)
    (context.run_dir / "checkpoint.safetensors").unlink(missing_ok=True)
    console.print(f"  {report}", highlight=False)


def run_memorise(config: MemoriseConfig, context: RunContext) -> None:
    """Train a model until it has memorised the rows; weights and evaluation go to the run folder."""
    require_hardware(config.trainer)
    harness.require_harness(config.evaluation.harness)
    stages = Stages()
    if config.assets is not None:
        with stages.stage("build the sandbox's target and retrained model"):
            build_sandbox(config, Path(config.assets), _loggers(config, context, "memorise"))
        return
    with stages.stage("load"):
        corpus = load_corpus(config.data)
        model, tokenizer = starting_point(config, corpus)
    loggers = _loggers(config, context, "memorise")
    with stages.stage("memorise"):
        trained, record = memorise(
            model, tokenizer, corpus, config.forget, config, config.prompt, config.scope, context.run_dir, loggers
        )
    if not on_main_process():
        return
    model = run_folder.merged(trained)
    write_folder(context.run_dir / "model", partial(save_model, model, tokenizer))
    with stages.stage("evaluate"):
        subject = Subject(corpus, str(context.run_dir / "model"), None, model, tokenizer)
        result = evaluate_model(config, subject, model, config.model.name, None)
    run_folder.save_evaluation("memorised", result, context.run_dir)
    write_json(
        context.run_dir / "metrics.json",
        {"memorised": result.metrics, "missing": result.missing, "training": asdict(record)},
    )
    weights = context.run_dir / "model" if config.logger.log_model else None
    tracking.finish(loggers, result.metrics, generations=result.generations, model=weights)
    (context.run_dir / "checkpoint.safetensors").unlink(missing_ok=True)
    print_result(config.model.name, result)
    console.print(f"  written to {context.run_dir / 'model'}", highlight=False)


def run_trace(config: TraceCommandConfig, context: RunContext) -> None:
    """Trace a model's facts, on all devices; layers.json, all effects, figures and a report go to the run folder."""
    stages = Stages()
    fabric = one_process_a_device(config)
    fabric.launch()
    with stages.stage("load"):
        subject = load_subject(config)
    with stages.stage("trace"):
        traced = trace_subject(config, config.trace, subject, context.run_dir, fabric)
    if traced is None:
        return
    with stages.stage("report"):
        loggers = _loggers(config, context, "trace")
        plots = write_trace_plots(traced.result, context.run_dir)
        report = write_trace_report(context.run_dir)
        tracking.finish(loggers, trace_summary(traced.selection), plots)
    console.print(f"  written to {context.run_dir / LAYERS} and {report}", highlight=False)


def run_evaluate(config: EvaluateConfig, context: RunContext) -> None:
    """Score a model, on all devices; results go to the run folder and, as a table, to the terminal."""
    stages = Stages()
    harness.require_harness(config.evaluation.harness)
    fabric = one_process_a_device(config)
    if config.model.path is None:
        sandbox_folder(config)  # one that must be built is there before there are several processes
    fabric.launch()
    team = FabricTeam(fabric)
    with stages.stage("load"):
        subject = load_subject(config)
    with stages.stage("evaluate"):
        retrained = evaluate_retrained(config, subject, team) if config.evaluation.references else None
        result = evaluate_model(config, subject, subject.model, config.model.name, retrained, team)
    if not team.writes:
        return
    run_folder.save_evaluation(config.model.name, result, context.run_dir)
    if retrained is not None:
        write_json(context.run_dir / "evaluation" / "retrained.json", retrained.to_json())
    metrics: dict[str, Any] = {config.model.name: result.metrics, "missing": result.missing}
    metrics["harness"] = {config.model.name: tasks} if (tasks := harness.by_task(result)) else {}
    write_json(context.run_dir / "metrics.json", metrics)
    report = write_evaluation_report(context.run_dir)
    plots = sorted((context.run_dir / "plots").glob("*.png"))
    tracking.finish(_loggers(config, context, "evaluate"), result.metrics, plots, result.generations)
    print_result(config.model.name, result)
    console.print(f"written to {context.run_dir}, report: {report}", highlight=False)


def _loggers(
    config: UnlearnConfig | MemoriseConfig | TraceCommandConfig | MergeConfig | EvaluateConfig,
    context: RunContext,
    job_type: str,
) -> list[Logger]:
    return tracking.make_logger(
        config.logger,
        context.run_dir,
        run_name=f"{config.name}-{config.seed}",
        group=context.group,
        job_type=job_type,
        # Of W&B's tags only the first 64 characters count.
        tags=[f"{group}={option}"[:64] for group, option in context.choices.items()],
        resolved_config=context.resolved,
    )
