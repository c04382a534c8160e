"""The command unlearn, stage by stage: load, trace, evaluate the target, unlearn, evaluate the result, report.

What cannot be done is refused before the first of them, without reading weights (`first_checks`).

Each stage leaves its file in the run folder, written whole or not at all. A run that is started again in the same
folder goes on with the first stage whose file is not there yet.
"""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from unlearning.commands.stages.architecture import record_architecture
from unlearning.commands.stages.clock import StageClock
from unlearning.commands.stages.evaluate import evaluate_references
from unlearning.commands.stages.first_checks import check_training, check_unlearning
from unlearning.commands.stages.known import read_inputs
from unlearning.commands.stages.load import load_inputs
from unlearning.commands.stages.planning import keep_rates
from unlearning.commands.stages.results import conclude
from unlearning.commands.stages.trace import traced_layers
from unlearning.config.commands import UnlearnConfig
from unlearning.config.scope import TracedScopeConfig
from unlearning.config.tuned import announcement
from unlearning.context import RunContext, on_main_process
from unlearning.evaluation import harness
from unlearning.progress.measured import Measured, parts_measured
from unlearning.runs.tracking import make_loggers
from unlearning.training.unlearn import unlearn_model


def run(config: UnlearnConfig, context: RunContext) -> None:
    """Unlearn the forget set and write weights, scores and report into the run folder.

    Raises InputError for what a user can mend, Interrupted on Ctrl-C.
    """
    with parts_measured() as parts:
        _run(config, context, parts)


def _run(config: UnlearnConfig, context: RunContext, parts: Sequence[Measured]) -> None:
    """Do all stages; to `parts` each part is added once it has come to its end."""
    clock = StageClock()
    harness.require_harness(config.evaluation.harness)
    if on_main_process():
        _announce(config, context)
    known = read_inputs(config)
    plan = check_unlearning(config, known, context.run_dir)
    with clock.stage("load"):
        inputs = load_inputs(config, known)
        record_architecture(inputs.model, context.run_dir)
    traced = None
    if isinstance(config.scope, TracedScopeConfig):
        with clock.stage("trace"):
            traced = traced_layers(config, inputs, context.run_dir)
    if traced is not None:
        plan = check_training(config, known, traced.layers, context.run_dir)
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
        assert plan is not None
        keep_rates(config, known, plan, parts)


def _announce(config: UnlearnConfig, context: RunContext) -> None:
    """Print which run this is, for a job its folder and its words, and which tuned numbers joined it, if any."""
    in_multirun = context.group is not None
    name = escape(context.run_dir.name if in_multirun else config.name)
    Console().rule(f"[bold]{name}[/bold]  seed {config.seed}", align="left", style="cyan")
    if in_multirun:
        Console().print(" ".join(context.overrides), highlight=False, markup=False, style="dim")
    line = announcement(config.tuned, config.model.name)
    if line is not None:
        Console().print(line, highlight=False, markup=False)
