"""The part of a page on scores: the final score and what it is made of, figures, attacks, other metrics, answers."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from unlearning.errors import InputError
from unlearning.evaluation.result import EvaluationResult
from unlearning.report.comparison_row import ROLES
from unlearning.report.details import read_evaluation
from unlearning.report.page import PagePart, render
from unlearning.report.run_figures import LOWEST, TERMS, draw_membership, draw_terms
from unlearning.report.runs import read_mapping
from unlearning.report.score_tables import Models, attack_table, final_table, other_tables
from unlearning.report.settings import flatten
from unlearning.report.style import METHODS, Picture, method_colours, picture

AWARD_SHARE = 0.75
"""Share of the target's utility below which the task gave no award."""


def evaluation_part(
    models: Models, main: str, config: Mapping[str, Any], colour: str = METHODS[0], prefix: str = ""
) -> PagePart:
    """Return the part on all `models`, by their labels; the page is about `main`, whose run has this configuration.

    `prefix` keeps the figures of one page apart.
    """
    colours = {**method_colours(models), main: colour}
    pictures = [*_terms(models, colours, prefix), *_membership(models, colours, prefix)]
    values = {
        "models": models,
        "main": models[main],
        "warnings": list(_warnings(models, main)),
        "final": final_table(models, flatten(config).get("evaluation.utility_format")),
        "attacks": attack_table(models),
        "other_tables": other_tables(models),
        "pictures": pictures,
    }
    return PagePart("Evaluation", finding(models[main]), render("scores.html.j2", values), pictures)


def evaluated_models(run_dir: Path) -> dict[str, EvaluationResult]:
    """Return the first model of metrics.json that has an evaluation/LABEL.json, then the others in evaluation/.

    Raises InputError where there is none that can be read.
    """
    named = read_mapping(run_dir / "metrics.json")
    found = [path.stem for path in sorted((run_dir / "evaluation").glob("*.json"))]
    first = next((label for label in named if label in found), None)
    if first is None:
        raise InputError(f"{run_dir / 'metrics.json'}: names no model of {run_dir / 'evaluation'}")
    results = {label: read_evaluation(run_dir, label) for label in (first, *found)}
    models = {ROLES.get(label, label): result for label, result in results.items() if result is not None}
    if not models:
        raise InputError(f"{run_dir / 'evaluation'}: no evaluation of this version in it")
    return models


def finding(result: EvaluationResult) -> str:
    """Return the final score in one sentence."""
    final, ends = result.metrics.get("final"), result.intervals.get("final")
    if final is None:
        return "There is no final score: parts of it could not be measured."
    return f"The final score is {final:.3f}{f' (95% interval {ends[0]:.2f} to {ends[1]:.2f})' if ends else ''}."


def _warnings(models: Models, main: str) -> Iterable[str]:
    """Yield what a reader of the final score alone would not see."""
    yield from models[main].missing
    target = models.get(ROLES["target"], models[main])
    kept, before = models[main].metrics.get("utility"), target.metrics.get("utility")
    if kept is not None and before and kept < AWARD_SHARE * before:
        share = f"{kept / before:.0%} of the untouched target's"
        yield f"Utility is {share}. The task gave no award below {AWARD_SHARE:.0%}."


def _terms(models: Models, colours: Mapping[str, str], prefix: str) -> Iterable[Picture]:
    keys = ["_".join(name) for name in TERMS]
    shown = {label: item for label, item in models.items() if any(item.metrics.get(key) is not None for key in keys)}
    if shown:
        caption = "A single zero makes the whole aggregate zero. R-L: ROUGE-L recall, EM: exact match."
        caption += " Thin lines: 95% intervals." if any(result.intervals for result in shown.values()) else ""
        draw = partial(draw_terms, models=shown, colours=colours)
        yield picture(f"{prefix}terms", "The 12 terms of the task aggregate", caption, (10.0, 3.0), draw)


def _membership(models: Models, colours: Mapping[str, str], prefix: str) -> Iterable[Picture]:
    shown = {label: result for label, result in models.items() if result.membership}
    if shown:
        caption = (
            "An attacker who sees only losses should not tell documents that were trained on from others: area 0.5."
        )
        if any(sum(not item.member for item in result.membership) * LOWEST < 1 for result in shown.values()):
            caption += " Shaded: false-positive rates that so few non-members cannot show."
        draw = partial(draw_membership, models=shown, colours=colours)
        yield picture(f"{prefix}membership", "Membership", caption, (10.0, 5.4), draw)
