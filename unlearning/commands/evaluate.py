"""The command unlearn-evaluate: score one model, on all devices."""

from typing import Any

from unlearning.artefacts import write_json
from unlearning.commands.stages.architecture import record_architecture
from unlearning.commands.stages.clock import StageClock
from unlearning.commands.stages.devices import one_process_a_device
from unlearning.commands.stages.ending import show_files
from unlearning.commands.stages.evaluate import evaluate_model, evaluate_retrained
from unlearning.commands.stages.first_checks import check_scoring
from unlearning.commands.stages.known import read_inputs
from unlearning.commands.stages.load import load_inputs
from unlearning.commands.stages.sandbox_models import sandbox_folder
from unlearning.config.commands import EvaluateConfig
from unlearning.context import RunContext
from unlearning.evaluation import harness
from unlearning.evaluation.distribution import FabricProcessGroup
from unlearning.evaluation.result import EvaluationResult
from unlearning.report.evaluation_part import print_result
from unlearning.report.html import write_evaluation_report
from unlearning.runs.folder import save_evaluation, save_provenance
from unlearning.runs.tracking import finish, make_loggers

FILES = {
    "report.html": "the evaluation as one page",
    "metrics.json": "all scores",
    "generations.jsonl": "every answer, beside the right one",
}


def run(config: EvaluateConfig, context: RunContext) -> None:
    """Score a model; the results go to the run folder and, as a table, to the terminal.

    Raises InputError for what a user can mend.
    """
    clock = StageClock()
    harness.require_harness(config.evaluation.harness)
    fabric = one_process_a_device(config)
    known = read_inputs(config)
    check_scoring(config, known, with_retrained=config.evaluation.references)
    if config.model.path is None:
        # A sandbox that must be built is built before there are several processes.
        sandbox_folder(config)
    fabric.launch()
    processes = FabricProcessGroup(fabric)
    with clock.stage("load"):
        inputs = load_inputs(config, known)
        record_architecture(inputs.model, context.run_dir)
    with clock.stage("evaluate"):
        retrained = evaluate_retrained(config, inputs, processes) if config.evaluation.references else None
        result = evaluate_model(config, inputs, inputs.model, config.model.name, retrained, processes)
    if processes.is_writer:
        save_provenance(config, inputs.corpus.fingerprint, clock.seconds, context)
        _save(config, context, result, retrained)


def _save(
    config: EvaluateConfig, context: RunContext, result: EvaluationResult, retrained: EvaluationResult | None
) -> None:
    """Write the results and the report, log them, and print the table."""
    label, run_dir = config.model.name, context.run_dir
    save_evaluation(label, result, run_dir)
    if retrained is not None:
        write_json(run_dir / "evaluation" / "retrained.json", retrained.to_json())
    metrics: dict[str, Any] = {label: result.metrics, "missing": result.missing, "scorers": result.scorers}
    metrics["harness"] = {label: tasks} if (tasks := harness.by_task(result)) else {}
    write_json(run_dir / "metrics.json", metrics)
    write_evaluation_report(run_dir)
    plots = sorted((run_dir / "plots").glob("*.png"))
    loggers = make_loggers(config.logger, f"{config.name}-{config.seed}", "evaluate", context)
    finish(loggers, result.metrics, plots, result.generations)
    print_result(label, result)
    show_files(run_dir, FILES)
