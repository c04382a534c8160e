"""The last stage of unlearn and unlearn-merge: score the unlearned model and write everything into the run folder."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from pytorch_lightning.loggers import Logger

from unlearning.artefacts import write_text
from unlearning.commands.stages.clock import StageClock
from unlearning.commands.stages.ending import show_files
from unlearning.commands.stages.evaluate import evaluate_model
from unlearning.commands.stages.load import RunInputs
from unlearning.commands.stages.probe import probe_summary, probe_unlearned
from unlearning.config.commands import MergeConfig, UnlearnConfig
from unlearning.config.model import Quantization
from unlearning.context import RunContext
from unlearning.evaluation.result import EvaluationResult
from unlearning.mediation.selection import Selection
from unlearning.models.load import load_model
from unlearning.report.html import write_run_report
from unlearning.report.model_card import model_card
from unlearning.report.probe_part import print_probes
from unlearning.runs import folder as run_folder
from unlearning.runs import tracking
from unlearning.runs.status import mark_finished
from unlearning.training.checkpoint import CHECKPOINT
from unlearning.training.trainer import merged_dtype
from unlearning.training.unlearn import TrainedModel

FILES = {
    "report.html": "the run as one page",
    "metrics.json": "all scores, beside those of target and retrained model",
    "generations.jsonl": "every answer, beside the right one",
}
"""What to look at in the folder of a run, which has much more."""


def conclude(
    config: UnlearnConfig | MergeConfig,
    context: RunContext,
    clock: StageClock,
    inputs: RunInputs,
    unlearned: TrainedModel,
    traced: Selection | None,
    references: Mapping[str, EvaluationResult],
    loggers: Sequence[Logger],
) -> None:
    """Save the weights, score and probe the unlearned model, and write metrics, provenance and report.

    `references` are the results of the target and the retrained model, where they were evaluated.
    """
    run_dir = context.run_dir
    in_full = replace(config.model, quantization=Quantization.none)
    load_in_full = partial(load_model, inputs.target_path, in_full, merged_dtype(config.trainer, config.model))
    with clock.stage("evaluate the unlearned model"):
        model = run_folder.save_weights(unlearned, inputs.tokenizer, run_dir, config.save_model, load_in_full)
        result = evaluate_model(config, inputs, model, "unlearned", references.get("retrained"))
    results = {**references, "unlearned": result}
    # Before the probes, one of which may refuse the model.
    run_folder.save_evaluations(results, run_dir)
    summary = result.metrics
    if isinstance(config, UnlearnConfig) and config.probes:
        with clock.stage("probe"):
            probed = probe_unlearned(config, inputs, unlearned, model, run_dir)
        print_probes(list(probed.values()))
        summary = {**summary, **probe_summary(probed)}
    outcome = run_folder.Outcome(results, unlearned, traced, clock.seconds, inputs.corpus.fingerprint)
    with clock.stage("report"):
        _save_and_report(config, outcome, context)
        plots = sorted((run_dir / "plots").glob("*.png"))
        weights = run_dir / "model" if config.logger.log_model and config.save_model else None
        tracking.finish(loggers, summary, plots, result.generations, weights)
    shutil.rmtree(run_dir / CHECKPOINT, ignore_errors=True)
    show_files(run_dir, FILES)


def _save_and_report(config: UnlearnConfig | MergeConfig, outcome: run_folder.Outcome, context: RunContext) -> None:
    """Write the results, the model card and the report.

    The run counts as finished before the report is made, so that the report is that of a finished run.
    """
    saved = run_folder.save_outcome(config, outcome, context)
    if config.save_model:
        card = model_card(config=context.resolved, metrics=saved.metrics, provenance=saved.provenance)
        write_text(context.run_dir / "model" / "README.md", card)
    mark_finished(context.run_dir)
    write_run_report(context.run_dir)
