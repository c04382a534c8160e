"""What a page says about scores: the final score and its parts, figures, attacks, other metrics, answers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from unlearning.config.evaluation import QuestionFormat
from unlearning.errors import InputError
from unlearning.evaluation.result import EvaluationResult
from unlearning.report.details import read_evaluation
from unlearning.report.examples import RowsOfSplit, shown_answers
from unlearning.report.run_figures import LOWEST, TERMS, draw_membership, draw_terms
from unlearning.report.runs import read_mapping
from unlearning.report.score_tables import ScoreTable, attack_table, final_table, other_tables
from unlearning.report.style import METHODS, RETRAINED, TARGET, Picture, picture

AWARD_SHARE = 0.75
"""Share of the target's utility below which the task gave no award."""
_BESIDE = {"target": ("untouched target", TARGET), "retrained": ("retrained model", RETRAINED)}


@dataclass(frozen=True)
class Scored:
    """One model of the section."""

    label: str
    colour: str
    result: EvaluationResult
    heading: str
    """What stands over its answers."""


@dataclass(frozen=True)
class EvaluationView:
    """The evaluation section of a page."""

    missing: list[str]
    """Why there is no final score; empty where there is one."""
    warnings: list[str]
    final: ScoreTable
    pictures: list[Picture]
    attacks: ScoreTable | None
    attacks_note: str
    others: list[ScoreTable]
    answers: list[RowsOfSplit]


def evaluation_view(
    models: Sequence[Scored], main: Scored, config: Mapping[str, Any], prefix: str = ""
) -> EvaluationView:
    """Return the section on all `models`, in their order; the page is about `main`, whose run has this configuration.

    `prefix` keeps the figures of one page apart.
    """
    results = {item.label: item.result for item in models}
    colours = {item.label: item.colour for item in models}
    found = [_terms(results, colours, prefix), _membership(results, colours, prefix)]
    return EvaluationView(
        missing=list(main.result.missing),
        warnings=list(_warnings(main, next((item for item in models if item.colour == TARGET), main))),
        final=final_table(results, _utility_format(config)),
        pictures=[item for item in found if item is not None],
        attacks=attack_table(results),
        attacks_note=_few(main.result),
        others=other_tables(results),
        answers=shown_answers({item.heading: item.result for item in models}, main.heading),
    )


def evaluated_models(run_dir: Path) -> list[Scored]:
    """Return the first model of metrics.json that has an evaluation/LABEL.json, then the others in evaluation/.

    Raises InputError where there is none that can be read.
    """
    named = read_mapping(run_dir / "metrics.json")
    found = [path.stem for path in sorted((run_dir / "evaluation").glob("*.json"))]
    ordered = [label for label in named if label in found]
    if not ordered:
        raise InputError(f"{run_dir / 'metrics.json'}: names no model of {run_dir / 'evaluation'}")
    models: list[Scored] = []
    for label in dict.fromkeys([ordered[0], *found]):
        if (result := read_evaluation(run_dir, label)) is not None:
            name, colour = _BESIDE.get(label, (label, METHODS[len(models) % len(METHODS)]))
            models.append(Scored(name, colour, result, "Answer" if label == ordered[0] else name))
    if not models:
        raise InputError(f"{run_dir / 'evaluation'}: no evaluation of this version in it")
    return models


def finding(main: Scored) -> str:
    """Return the final score in one sentence."""
    final, interval = main.result.metrics.get("final"), main.result.intervals.get("final")
    if final is None:
        return f"{main.label} has no final score: parts of it could not be measured."
    ends = f" (95% interval {interval[0]:.2f} to {interval[1]:.2f})" if interval else ""
    return f"{main.label} has a final score of {final:.3f}{ends}."


def _utility_format(config: Mapping[str, Any]) -> QuestionFormat | None:
    """Return which format counted as utility; None where the configuration does not say."""
    evaluation = config.get("evaluation")
    name = evaluation.get("utility_format") if isinstance(evaluation, Mapping) else None
    return next((item for item in QuestionFormat if item == name), None)


def _warnings(main: Scored, target: Scored) -> Iterable[str]:
    """Yield what a reader of the final score alone would not see."""
    kept, before = main.result.metrics.get("utility"), target.result.metrics.get("utility")
    if kept is not None and before and kept < AWARD_SHARE * before:
        yield f"Utility is {kept / before:.0%} of the {target.label}'s. The task gave no award below {AWARD_SHARE:.0%}."


def _terms(results: Mapping[str, EvaluationResult], colours: Mapping[str, str], prefix: str) -> Picture | None:
    keys = ["_".join(name) for name in TERMS]
    models = {label: item for label, item in results.items() if any(item.metrics.get(key) is not None for key in keys)}
    if not models:
        return None
    caption = "A single zero makes the whole aggregate zero. R-L: ROUGE-L recall, EM: exact match."
    if any(result.intervals for result in models.values()):
        caption += " Thin lines: 95% intervals."
    draw = partial(draw_terms, models=models, colours=colours)
    return picture(f"{prefix}terms", "The 12 terms of the task aggregate", caption, (10.0, 3.0), draw)


def _membership(results: Mapping[str, EvaluationResult], colours: Mapping[str, str], prefix: str) -> Picture | None:
    models = {label: result for label, result in results.items() if result.membership}
    if not models:
        return None
    caption = "An attacker who sees only losses should not tell documents that were trained on from others: area 0.5."
    if any(sum(not item.member for item in result.membership) * LOWEST < 1 for result in models.values()):
        caption += " Shaded: false-positive rates that so few non-members cannot show."
    draw = partial(draw_membership, models=models, colours=colours)
    return picture(f"{prefix}membership", "Membership", caption, (10.0, 5.4), draw)


def _few(result: EvaluationResult) -> str:
    """Return what the numbers of documents allow to be said."""
    members = sum(item.member for item in result.membership)
    others = len(result.membership) - members
    if not others:
        return ""
    text = f"{members:,} members and {others:,} non-members. TPR: share of the members found while at most so many "
    text += "non-members are falsely accused; it depends on a few documents and has no interval."
    none = [rate for rate, one_in in (("1%", 100), ("0.1%", 1000)) if others < one_in]
    return f"{text} {' and '.join(none)} of {others:,} is none." if none else text
