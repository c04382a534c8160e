"""The tables of an evaluation: what the final score is made of, membership attacks, and whatever else was measured."""

from collections.abc import Mapping
from typing import NamedTuple

from unlearning.config.evaluation import QuestionFormat
from unlearning.evaluation.harness import harness_result
from unlearning.evaluation.membership import auc_key, tpr_key
from unlearning.evaluation.metrics import ATTACK_RATES, ATTACK_SIGNS, BENCHMARKS, MEASURES, METRICS, SPLITS, describe
from unlearning.evaluation.result import EvaluationResult
from unlearning.evaluation.semeval import aggregate_terms, term_keys

_SHOWN_ABOVE = ("final", "task_aggregate", "mia_", "utility", "neutral_nats")

Cell = tuple[str, str]
"""A number, ready to print, and its 95% interval or what it is of."""
Models = Mapping[str, EvaluationResult]
"""Models by the labels that stand over their columns."""


class Line(NamedTuple):
    """One row of a table, with a cell for each model; of attacks, for each measure a cell for each model."""

    name: str
    meaning: str
    cells: list[Cell]
    rank: str = "part"
    """total, part or detail: how the line is set."""


def final_lines(models: Models, counted: str | None) -> list[Line]:
    """Return the final score, its three parts and what each comes from; `counted` is the format of utility."""
    other_formats = [f"utility_{form}" for form in QuestionFormat if form != counted]
    lines = [
        _line(models, "final", "total"),
        _line(models, "task_aggregate"),
        Line("lowest term ↑", "it weighs most", [lowest_term(result) for result in models.values()], "detail"),
        *(_line(models, f"{split}_{measure}", "detail") for split in SPLITS for measure in MEASURES),
        _line(models, "mia_score"),
        _line(models, "mia_auc", "detail"),
        _line(models, "utility"),
        *(_line(models, key, "detail") for key in ("utility_macro", *other_formats, "neutral_nats")),
    ]
    return [line for line in lines if line.rank != "detail" or any(text != "-" for text, _ in line.cells)]


def attack_lines(models: Models) -> list[Line]:
    """Return for each attack that was measured its AUC, then its rates of true positives, each of all models."""
    lines = []
    for attack, sign in ATTACK_SIGNS.items():
        keys = [auc_key(attack), *(tpr_key(rate, attack) for rate in ATTACK_RATES)]
        cells = [cell(result, key) for key in keys for result in models.values()]
        if any(text != "-" for text, _ in cells):
            lines.append(Line(attack.replace("_", " "), sign, cells))
    return lines


def other_lines(models: Models) -> dict[str, list[Line]]:
    """Return all that was measured besides the score and the attacks, by the title of its table; nothing empty."""
    tables: dict[str, list[Line]] = {}
    for key in dict.fromkeys(key for result in models.values() for key in result.metrics):
        if (title := _title(key)) and any(result.metrics.get(key) is not None for result in models.values()):
            tables.setdefault(title, []).append(_line(models, key))
    tasks = {label: harness_result(result) for label, result in models.items()}
    for key in dict.fromkeys(key for result in tasks.values() for key in result.metrics):
        line = Line(key, "", [cell(result, key) for result in tasks.values()])
        tables.setdefault("Tasks of lm-evaluation-harness", []).append(line)
    return tables


def lowest_term(result: EvaluationResult) -> Cell:
    """Return the least of the 12 terms, and which one it is."""
    terms = zip(aggregate_terms(result.metrics), term_keys(), strict=True)
    value, key = min([(value, key) for value, key in terms if value is not None], default=(None, ""))
    return "-" if value is None else f"{value:.3f}", key.replace("_", " ")


def cell(result: EvaluationResult, key: str) -> Cell:
    """Return a metric of one model with its interval."""
    value = result.metrics.get(key)
    if value is None:
        return "-", ""
    low, high = result.intervals.get(key, (None, None))
    return digits(value), "" if low is None or high is None else f"[{low:.2f}, {high:.2f}]"


def digits(value: float) -> str:
    """Return three decimals; what would be 0 or too long with them has two significant digits."""
    return f"{value:.1e}" if value and (abs(value) < 0.0005 or abs(value) >= 10000) else f"{value:.3f}"


def _line(models: Models, key: str, rank: str = "part") -> Line:
    """Return a metric of all models, with an arrow to its better end."""
    about, cells = describe(key), [cell(result, key) for result in models.values()]
    meaning = about.meaning if about.arrow else about.sentence
    return Line(f"{about.name[0].upper()}{about.name[1:]} {about.arrow}".strip(), meaning, cells, rank)


def _title(key: str) -> str:
    """Return the title of the table that a metric belongs to; empty for the score, its parts and the attacks."""
    part_of_aggregate = key.startswith(SPLITS) and key.endswith(tuple(MEASURES))
    if part_of_aggregate or key.startswith(_SHOWN_ABOVE):
        return ""
    if (benchmark := key.partition("_")[0]) in BENCHMARKS:
        return benchmark.upper()
    return "Memorisation" if key in METRICS else "Other measurements"
