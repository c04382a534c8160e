"""The command unlearn, stage by stage: load, trace, evaluate the target, unlearn, evaluate the result, report.

Each stage leaves its file in the run folder, written whole or not at all. A run that is started again in the same
folder goes on with the first stage whose file is not there yet.
"""

from pathlib import Path

from rich.console import Console

from unlearning.commands.stages.architecture import record_architecture
from unlearning.commands.stages.clock import StageClock
from unlearning.commands.stages.evaluate import evaluate_references
from unlearning.commands.stages.load import load_inputs
from unlearning.commands.stages.load_pair import check_rows
from unlearning.commands.stages.results import conclude
from unlearning.commands.stages.trace import traced_layers
from unlearning.config.build import build
from unlearning.config.commands import UnlearnConfig
from unlearning.config.scope import TracedScopeConfig
from unlearning.config.tuned import announcement
from unlearning.context import RunContext, on_main_process
from unlearning.evaluation import harness
from unlearning.mediation.layers import read_layers
from unlearning.runs.tracking import make_loggers
from unlearning.training.unlearn import unlearn_model


def run(config: UnlearnConfig, context: RunContext) -> None:
    """Unlearn the forget set and write weights, scores and report into the run folder.

    Raises InputError for what a user can mend, Interrupted on Ctrl-C.
    """
    clock = StageClock()
    harness.require_harness(config.evaluation.harness)
    if on_main_process():
        Console().rule(f"[bold]{config.name}[/bold]  seed {config.seed}", align="left", style="cyan")
        _announce_tuned(config)
    if isinstance(config.scope, TracedScopeConfig) and config.scope.layers_file is not None:
        # A bad file is refused before anything slow.
        read_layers(Path(config.scope.layers_file))
    with clock.stage("load"):
        inputs = load_inputs(config)
        record_architecture(inputs.model, context.run_dir)
        # A scope that the model lacks is refused before anything slow.
        build(config.scope).require_fits(inputs.model)
        check_rows(inputs.corpus, inputs.model, inputs.tokenizer, config.prompt)
    traced = None
    if isinstance(config.scope, TracedScopeConfig):
        with clock.stage("trace"):
            traced = traced_layers(config, inputs, context.run_dir)
    references = {}
    if config.evaluation.references and on_main_process():
        with clock.stage("evaluate the target and the retrained model"):
            references = evaluate_references(config, inputs)
    loggers = make_loggers(config.logger, f"{config.name}-{config.seed}", "unlearn", context)
    with clock.stage("unlearn"):
        unlearned = unlearn_model(
            config, inputs.model, inputs.tokenizer, inputs.corpus, traced, context.run_dir, loggers
        )
    if on_main_process():
        conclude(config, context, clock, inputs, unlearned, traced, references, loggers)


def _announce_tuned(config: UnlearnConfig) -> None:
    """Print which tuned numbers joined the settings, or why they did not, if there are any for this model."""
    line = announcement(config.tuned, config.model.name)
    if line is not None:
        Console().print(line, highlight=False, markup=False)
