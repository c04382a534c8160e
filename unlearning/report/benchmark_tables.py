"""Tables of what was measured besides the score: memorisation, other benchmarks, tasks of the harness."""

from collections.abc import Iterable

from unlearning.evaluation.benchmarks import METRICS as OF_BENCHMARKS
from unlearning.evaluation.result import METRICS, EvaluationResult
from unlearning.report.score_tables import Cell, Line, Models, ScoreTable, digits, directed, has_value, metric_line

TITLES = {"tofu": "TOFU", "muse": "MUSE", "wmdp": "Hazardous knowledge (WMDP)"}
MEMORISATION = ("extraction_strength", "exact_memorisation")
HARNESS = "harness"
"""Where an evaluation's items are tasks of lm-evaluation-harness."""
_MEANINGS = METRICS | {key: meaning for group in OF_BENCHMARKS.values() for key, meaning in group.items()}
_PROBES = ("regurgitation", "knowledge")


def other_tables(models: Models) -> list[ScoreTable]:
    """All that was measured besides the score and the attacks, by where it comes from; nothing empty."""
    groups: dict[str, list[Line]] = {}
    for key in dict.fromkeys(key for result in models.values() for key in result.metrics):
        if _is_other(key) and has_value(models, key):
            groups.setdefault(_origin(key), []).append(_named_line(models, key))
    tables = [ScoreTable(title, "", tuple(models), tuple(lines)) for title, lines in groups.items()]
    tasks = tuple(_harness_lines(models))
    return [*tables, ScoreTable("Tasks of lm-evaluation-harness", "", tuple(models), tasks)] if tasks else tables


def _is_other(key: str) -> bool:
    official = key == "final" or key.startswith(("task_aggregate", "mia_", "utility"))
    return not official and not (key.startswith(("forget_", "retain_")) and key.endswith(_PROBES))


def _origin(key: str) -> str:
    """Title of the table a key belongs to."""
    head = key.partition("_")[0]
    if head in TITLES:
        return TITLES[head]
    return "Memorisation" if key.endswith(MEMORISATION) else "Other measurements"


def _named_line(models: Models, key: str) -> Line:
    """With an arrow in place of the words that say which direction is better."""
    head, _, tail = key.partition("_")
    name = (tail if head in TITLES else key).replace("_", " ")
    meaning, arrow = directed(_MEANINGS.get(key, ""))
    return metric_line(models, key, f"{name} {arrow}".strip(), meaning)


def _harness_lines(models: Models) -> Iterable[Line]:
    """Every metric of every task; the harness's own standard error makes the interval."""
    found = {label: _tasks(result) for label, result in models.items()}
    for task, metric in dict.fromkeys(key for values in found.values() for key in values):
        if "_stderr" not in metric:
            cells = tuple(_harness_cell(values, task, metric) for values in found.values())
            yield Line(f"{task} {metric}", "", cells)


def _tasks(result: EvaluationResult) -> dict[tuple[str, str], float]:
    items = result.items.get(HARNESS, [])
    return {(item.id, metric): value for item in items for metric, value in item.values.items()}


def _harness_cell(values: dict[tuple[str, str], float], task: str, metric: str) -> Cell:
    value = values.get((task, metric))
    if value is None:
        return Cell("-")
    name, comma, kind = metric.partition(",")
    error = values.get((task, f"{name}_stderr{comma}{kind}"))
    if error is None:
        return Cell(digits(value))
    return Cell(digits(value), f"[{value - 1.96 * error:.2f}, {value + 1.96 * error:.2f}]")
