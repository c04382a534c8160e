"""What the page says about scores: the final score and its parts, figures, attacks, other metrics, answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from unlearning.config.evaluation import QuestionFormat
from unlearning.evaluation.result import EvaluationResult
from unlearning.report.benchmark_tables import other_tables
from unlearning.report.examples import Shown, shown_answers
from unlearning.report.membership_figures import LOWEST, draw_membership, membership_size
from unlearning.report.run_figures import TERMS, draw_terms
from unlearning.report.score_tables import ScoreTable, attack_table, final_table
from unlearning.report.style import Picture, picture

WIDTH = 10.0
AWARD_SHARE = 0.75
"""Of the target's utility; the task gave no award below it."""


@dataclass(frozen=True)
class Scored:
    """One model of the section."""

    label: str
    colour: str
    result: EvaluationResult
    heading: str
    """Over its answers."""


@dataclass(frozen=True)
class EvaluationView:
    """The evaluation section of a page."""

    missing: list[str]
    """Why there is no final score; empty where there is one."""
    warnings: list[str]
    final: ScoreTable
    terms: Picture | None
    membership: Picture | None
    attacks: ScoreTable | None
    attacks_note: str
    others: list[ScoreTable]
    answers: list[Shown]

    @property
    def pictures(self) -> list[Picture]:
        """Those that there are."""
        return [item for item in (self.terms, self.membership) if item is not None]


def evaluation_view(
    models: list[Scored],
    main: Scored,
    target: Scored | None,
    counted: QuestionFormat | None,
    prefix: str = "",
) -> EvaluationView:
    """Of all `models`, in their order; the page is about `main`. `counted` is the question format of utility;
    `prefix` keeps the figures of one page apart."""
    results = {item.label: item.result for item in models}
    colours = {item.label: item.colour for item in models}
    said = {item.heading: item.result for item in models}
    return EvaluationView(
        missing=list(main.result.missing),
        warnings=list(_warnings(main, target)),
        final=final_table(results, counted),
        terms=_terms(results, colours, prefix),
        membership=_membership(results, colours, prefix),
        attacks=attack_table(results),
        attacks_note=_few(main.result),
        others=other_tables(results),
        answers=shown_answers(said, main.heading),
    )


def utility_format(config: Mapping[str, Any]) -> QuestionFormat | None:
    """Which format counted as utility; None where the configuration does not say."""
    evaluation = config.get("evaluation")
    name = evaluation.get("utility_format") if isinstance(evaluation, Mapping) else None
    return next((item for item in QuestionFormat if item == name), None)


def _warnings(main: Scored, target: Scored | None) -> Iterable[str]:
    """What a reader of the final score alone would not see."""
    if target is None:
        return
    kept, before = main.result.metrics.get("utility"), target.result.metrics.get("utility")
    if kept is not None and before and kept < AWARD_SHARE * before:
        yield (
            f"Utility is {kept / before:.0%} of the {target.label}'s. The task gave no award below {AWARD_SHARE:.0%}."
        )


def _terms(results: Mapping[str, EvaluationResult], colours: Mapping[str, str], prefix: str) -> Picture | None:
    models = {label: result for label, result in results.items() if _has_terms(result)}
    if not models:
        return None
    caption = "A single zero makes the whole aggregate zero. R-L: ROUGE-L recall, EM: exact match."
    if any(result.intervals for result in models.values()):
        caption += " Thin lines: 95% intervals."
    draw = partial(draw_terms, models=models, colours=colours)
    return picture(f"{prefix}terms", "The 12 terms of the task aggregate", caption, (WIDTH, 3.0), draw)


def _membership(results: Mapping[str, EvaluationResult], colours: Mapping[str, str], prefix: str) -> Picture | None:
    models = {label: result for label, result in results.items() if result.membership}
    if not models:
        return None
    caption = "An attacker who sees only losses should not tell documents that were trained on from others: area 0.5."
    if any(sum(not item.member for item in result.membership) * LOWEST < 1 for result in models.values()):
        caption += " Shaded: false-positive rates that so few non-members cannot show."
    draw = partial(draw_membership, models=models, colours=colours)
    return picture(f"{prefix}membership", "Membership", caption, membership_size(len(models)), draw)


def _has_terms(result: EvaluationResult) -> bool:
    return any(result.metrics.get("_".join(name)) is not None for name in TERMS)


def _few(result: EvaluationResult) -> str:
    """What the numbers of documents allow to be said."""
    members = sum(item.member for item in result.membership)
    others = len(result.membership) - members
    if not others:
        return ""
    text = f"{members:,} members and {others:,} non-members. TPR: share of the members found while at most so many "
    text += "non-members are falsely accused; it hangs on a few documents and has no interval."
    none = [rate for rate, one_in in (("1%", 100), ("0.1%", 1000)) if others < one_in]
    return f"{text} {' and '.join(none)} of {others:,} is none." if none else text
