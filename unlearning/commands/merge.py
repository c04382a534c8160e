"""The command unlearn-merge: merge the adapters of finished runs into one, and score it."""

from unlearning.commands.stages.architecture import record_architecture
from unlearning.commands.stages.clock import StageClock
from unlearning.commands.stages.evaluate import evaluate_references
from unlearning.commands.stages.load import load_inputs
from unlearning.commands.stages.load_pair import check_rows
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
    with clock.stage("load"):
        inputs = load_inputs(config)
        record_architecture(inputs.model, context.run_dir)
        check_rows(inputs.corpus, inputs.model, inputs.tokenizer, config.prompt)
    # Before the references are evaluated, which takes long.
    require_fit(adapters, inputs.model, inputs.target_path)
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
