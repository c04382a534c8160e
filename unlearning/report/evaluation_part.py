"""What an evaluation measured: the part of a page, with figures and answers, and the table in the terminal."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unlearning.errors import InputError
from unlearning.evaluation.harness import harness_result
from unlearning.evaluation.metrics import ATTACK_RATES, METRICS
from unlearning.evaluation.result import EvaluationResult
from unlearning.evaluation.semeval import aggregate_terms
from unlearning.report.comparison_row import ROLES
from unlearning.report.details import read_evaluation
from unlearning.report.page import PagePart, render
from unlearning.report.run_figures import draw_membership, draw_terms
from unlearning.report.runs import read_mapping
from unlearning.report.score_tables import Models, attack_lines, cell, final_lines, other_lines
from unlearning.report.settings import flatten
from unlearning.report.style import METHODS, Picture, method_colours, picture

AWARD_SHARE = 0.75
"""Share of the target's utility below which the task gave no award."""
TERMS = "A single zero makes the whole aggregate zero. R-L: ROUGE-L recall, EM: exact match. Thin lines: 95% intervals."
MEMBERSHIP = (
    "An attacker who sees only losses should not tell documents that were trained on from others: area 0.5. Shaded: "
    "false-positive rates that so few non-members cannot show."
)


def evaluation_part(models: Models, main: str, config: Mapping[str, Any], colour: str = METHODS[0]) -> PagePart:
    """Return the part on all `models`, by their labels; the page is about `main`, whose run has this configuration."""
    pictures = list(_pictures(models, {**method_colours(models), main: colour}))
    counted = flatten(config).get("evaluation.utility_format")
    values = {
        "models": models,
        "main": models[main],
        "warnings": list(_warnings(models, main)),
        "counted": counted,
        "final": final_lines(models, counted),
        "attacks": attack_lines(models),
        "measures": ["AUC, 0.5 is best", *(f"TPR at {rate} FPR" for rate, _ in ATTACK_RATES.values())],
        "others": other_lines(models),
        "pictures": pictures,
    }
    return PagePart("Evaluation", finding(models[main]), render("scores.html.j2", values), pictures)


def print_result(label: str, result: EvaluationResult, console: Console | None = None) -> None:
    """Print what was measured, with 95% intervals and meanings, then what was not, and what is missing and why."""
    table = Table(title=escape(label), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("95% interval", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("meaning")
    measured = {key: about for key, about in METRICS.items() if result.metrics.get(key) is not None}
    for key, about in measured.items():
        number, ends = cell(result, key)
        table.add_row(key, number, escape(ends), about.arrow, escape(about.meaning))
    tasks = harness_result(result)
    for key in tasks.metrics:
        number, ends = cell(tasks, key)
        table.add_row(escape(key), number, escape(ends), "", "of lm-evaluation-harness")
    console = console or Console()
    console.print(table)
    others = [key for key in METRICS if key not in measured]
    if others:
        console.print(f"not measured: {', '.join(others)}", style="dim", highlight=False)
    for reason in result.missing:
        console.print(f"missing: {reason}", style="yellow", highlight=False, markup=False)


def evaluated_models(run_dir: Path) -> dict[str, EvaluationResult]:
    """Return the first model of metrics.json that has an evaluation/LABEL.json, then the others in evaluation/.

    Raises InputError where there is none that can be read.
    """
    labels = [path.stem for path in sorted((run_dir / "evaluation").glob("*.json"))]
    found = {label: result for label in labels if (result := read_evaluation(run_dir, label))}
    main = next((label for label in read_mapping(run_dir / "metrics.json") if label in found), None)
    if main is None:
        reason = f"names no model with an evaluation of this version in {run_dir / 'evaluation'}"
        raise InputError(f"{run_dir / 'metrics.json'}: {reason}")
    return {ROLES.get(label, label): found[label] for label in dict.fromkeys([main, *found])}


def finding(result: EvaluationResult) -> str:
    """Return the final score in one sentence."""
    number, ends = cell(result, "final")
    if result.metrics.get("final") is None:
        return "There is no final score: parts of it could not be measured."
    return f"The final score is {number}{f' (95% interval {ends})' if ends else ''}."


def _warnings(models: Models, main: str) -> Iterable[str]:
    """Yield what a reader of the final score alone would not see."""
    yield from models[main].missing
    target = models.get(ROLES["target"], models[main])
    kept, before = models[main].metrics.get("utility"), target.metrics.get("utility")
    if kept is not None and before and kept < AWARD_SHARE * before:
        share = f"{kept / before:.0%} of the untouched target's"
        yield f"Utility is {share}. The task gave no award below {AWARD_SHARE:.0%}."


def _pictures(models: Models, colours: Mapping[str, str]) -> Iterable[Picture]:
    """Yield the figures that the models have the numbers for."""
    if scored := {label: result for label, result in models.items() if set(aggregate_terms(result.metrics)) != {None}}:
        title = "The 12 terms of the task aggregate"
        yield picture("terms", title, TERMS, (10.0, 3.0), draw_terms, scored, colours)
    if attacked := {label: result for label, result in models.items() if result.membership}:
        yield picture("membership", "Membership", MEMBERSHIP, (10.0, 5.4), draw_membership, attacked, colours)
