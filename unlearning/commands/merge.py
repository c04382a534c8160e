"""The command unlearn-merge: merge the adapters of finished runs into one, and score it."""

from unlearning.commands.stages.architecture import record_architecture
from unlearning.commands.stages.clock import StageClock
from unlearning.commands.stages.evaluate import evaluate_references
from unlearning.commands.stages.first_checks import check_scoring
from unlearning.commands.stages.known import read_inputs
from unlearning.commands.stages.load import load_inputs
from unlearning.commands.stages.merge import find_adapters, merge_adapters, require_fit
from unlearning.commands.stages.results import conclude
from unlearning.config.commands import MergeConfig
from unlearning.context import RunContext
from unlearning.evaluation import harness
from unlearning.runs.tracking import make_loggers
from unlearning.training.task import TrainingRecord
from unlearning.training.unlearn import TrainedModel


def run(config: MergeConfig, context: RunContext) -> None:
    """Merge the adapters; weights, scores and report are written as `unlearn` writes them.

    Raises InputError for what a user can mend.
    """
    clock = StageClock()
    harness.require_harness(config.evaluation.harness)
    # Adapters that cannot be merged are refused before anything slow.
    adapters = find_adapters(config)
    known = read_inputs(config)
    check_scoring(config, known, with_retrained=config.evaluation.references)
    require_fit(adapters, known.skeleton, known.target_path)
    with clock.stage("load"):
        inputs = load_inputs(config, known)
        record_architecture(inputs.model, context.run_dir)
    references = {}
    if config.evaluation.references:
        with clock.stage("evaluate the target and the retrained model"):
            references = evaluate_references(config, inputs)
    loggers = make_loggers(config.logger, f"{config.name}-{config.seed}", "merge", context)
    parameters = sum(parameter.numel() for parameter in inputs.model.parameters())
    with clock.stage("merge"):
        merged = merge_adapters(config, adapters, inputs.model)
    adapter_parameters = sum(parameter.numel() for parameter in merged.parameters()) - parameters
    seconds = clock.seconds["merge"]
    record = TrainingRecord(seconds=seconds, steps=0, tokens=0, rows=0, stopped=None, best_step=None)
    unlearned = TrainedModel(merged, record, parameters, adapter_parameters)
    conclude(config, context, clock, inputs, unlearned, None, references, loggers)
