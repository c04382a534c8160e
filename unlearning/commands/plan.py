"""The command unlearn-plan: what a run of `unlearn` with the same settings would be, without weights."""

from pathlib import Path
from textwrap import fill

from rich.console import Console

from unlearning.commands.stages.known import read_inputs
from unlearning.commands.stages.planning import known_layers, memory_fit, planned_rates, stage_work
from unlearning.config.commands import UnlearnConfig
from unlearning.plan.lines import plan_lines

INDENT = 12
"""Characters before the text of a plan's line."""


def run(config: UnlearnConfig) -> None:
    """Print rows, steps, trained weights, memory, disk, work and, where it can be known, time.

    Raises InputError for what `unlearn` would refuse of data, method and memory.
    """
    known = read_inputs(config, weights_needed=False)
    fit = memory_fit(config, known, known_layers(config, known))
    plan = fit.whole
    console = Console()
    stages = stage_work(config, known, plan)
    console.print(f"{config.name}, seed {config.seed}", highlight=False, style="bold")
    for line in plan_lines(plan, fit.machine, stages, planned_rates(config, plan, fit.machine).read(), Path()):
        print_line(line, console)
    unfit = fit.line()
    if unfit is not None:
        print_line(unfit, console)


def print_line(line: str, console: Console) -> None:
    """Print a line of the plan. A terminal continues it between words, under its text; elsewhere it stays whole."""
    width = console.width if console.is_terminal else len(line) + INDENT
    text = fill(line, width, initial_indent=" " * 2, subsequent_indent=" " * INDENT, break_on_hyphens=False)
    console.print(text, highlight=False, markup=False, soft_wrap=True)
