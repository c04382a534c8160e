"""Tables of an evaluation: what the final score is made of, membership attacks, and whatever else was measured."""

from collections.abc import Mapping
from dataclasses import dataclass

from unlearning.config.evaluation import QuestionFormat
from unlearning.evaluation.harness import by_task
from unlearning.evaluation.membership import ATTACKS, auc_key, tpr_key
from unlearning.evaluation.metrics import describe
from unlearning.evaluation.result import EvaluationResult
from unlearning.report.run_figures import TERMS, term

ATTACK_NAMES = {
    "loss": ("loss", "mean loss: the official one"),
    "zlib": ("zlib", "loss over compressed length"),
    "min_k": ("Min-K%", "loss of the least likely tokens"),
    "min_k_plus": ("Min-K%++", "the same, each against the whole vocabulary"),
    "reference": ("reference", "loss less that of the retrained model"),
}
RATES = {"1_percent": "TPR at 1% FPR", "1_permille": "TPR at 0.1% FPR"}
INTERVAL_HINT = "[95% interval] over other documents and questions; another seed may differ by more"
TITLES = {"tofu": "TOFU", "muse": "MUSE", "wmdp": "Hazardous knowledge (WMDP)"}
_MEMORISATION = ("extraction_strength", "exact_memorisation")
_OFFICIAL = ("final", "task_aggregate", "mia_", "utility")
_MEASURES = {"regurgitation": ("ROUGE‑L", "recall of completions"), "knowledge": ("exact match", "right answers")}

Models = Mapping[str, EvaluationResult]
"""Models by the labels that stand over their columns."""


@dataclass(frozen=True)
class Cell:
    """A number, ready to print."""

    text: str
    note: str = ""
    """Its 95% interval, or what the number is of."""


@dataclass(frozen=True)
class Line:
    """One row of a table."""

    name: str
    meaning: str
    cells: tuple[Cell, ...]
    rank: str = "part"
    """total, part or detail: how the line is set."""


@dataclass(frozen=True)
class ScoreTable:
    """Lines of numbers, a column for each model, or for each measure a group of such columns."""

    title: str
    hint: str
    models: tuple[str, ...]
    lines: tuple[Line, ...]
    measures: tuple[str, ...] = ()


def final_table(models: Models, counted: str | None) -> ScoreTable:
    """Return the final score, its three parts and what each comes from; `counted` is the format of utility."""
    letters = counted == QuestionFormat.letters
    questions = max((result.letters if letters else result.cloze for result in models.values()), key=len, default=[])
    subjects = len({item.subject for item in questions})
    asked = (f" to {len(questions):,} questions" if questions else "") + (f", {counted} format" if counted else "")
    lines = [
        _line(models, "final", "Final score", "mean of the three parts", "total"),
        _line(models, "task_aggregate", "Task aggregate", "harmonic mean of the 12 terms"),
        Line("lowest term ↑", "it weighs most", tuple(map(lowest_term, models.values())), "detail"),
        *(
            _line(models, f"{split}_{measure}", f"{split} {name}", meaning, "detail")
            for split in ("forget", "retain")
            for measure, (name, meaning) in _MEASURES.items()
        ),
        _line(models, "mia_score", "Membership score", "1 − 2 |AUC − 0.5|"),
        _line(models, "mia_auc", "AUC of the loss", "0.5 is best", "detail"),
        _line(models, "utility", "Utility", f"right answers{asked}"),
        _line(models, "utility_macro", "macro average", f"mean of {subjects or 'the'} subjects' shares", "detail"),
        *(
            _line(models, f"utility_{form}", f"{form} format", "does not count for the score", "detail")
            for form in QuestionFormat
            if form != counted
        ),
    ]
    shown = tuple(line for line in lines if line.rank != "detail" or any(item.text != "-" for item in line.cells))
    hint = INTERVAL_HINT if any(result.intervals for result in models.values()) else ""
    return ScoreTable("What the final score is made of", hint, tuple(models), shown)


def attack_table(models: Models) -> ScoreTable | None:
    """Return each attack's numbers on each model; None where none was measured."""
    lines = []
    for attack in ATTACKS:
        keys = [auc_key(attack), *(tpr_key(rate, attack) for rate in RATES)]
        cells = tuple(cell(result, key) for key in keys for result in models.values())
        if any(item.text != "-" for item in cells):
            lines.append(Line(*ATTACK_NAMES[attack], cells))
    measures = ("AUC, 0.5 is best", *RATES.values())
    hint = "each tells documents that were trained on from others"
    return ScoreTable("Attacks", hint, tuple(models), tuple(lines), measures) if lines else None


def other_tables(models: Models) -> list[ScoreTable]:
    """Return all that was measured besides the score and the attacks, by where it comes from; nothing empty."""
    groups: dict[str, list[Line]] = {}
    for key in dict.fromkeys(key for result in models.values() for key in result.metrics):
        if (title := _title(key)) and any(result.metrics.get(key) is not None for result in models.values()):
            groups.setdefault(title, []).append(_line(models, key, describe(key).name, describe(key).meaning))
    tasks = {label: harness_result(result) for label, result in models.items()}
    for key in dict.fromkeys(key for result in tasks.values() for key in result.metrics):
        line = Line(key, "", tuple(cell(result, key) for result in tasks.values()))
        groups.setdefault("Tasks of lm-evaluation-harness", []).append(line)
    return [ScoreTable(title, "", tuple(models), tuple(lines)) for title, lines in groups.items()]


def harness_result(result: EvaluationResult) -> EvaluationResult:
    """Return every metric of every task of the harness as "task metric"; its standard errors make the intervals."""
    found = EvaluationResult()
    for task, values in by_task(result).items():
        for metric, value in values.items():
            name, comma, kind = metric.partition(",")
            error = values.get(f"{name}_stderr{comma}{kind}")
            if "_stderr" not in metric:
                found.metrics[f"{task} {metric}"] = value
            if error is not None:
                found.intervals[f"{task} {metric}"] = [value - 1.96 * error, value + 1.96 * error]
    return found


def lowest_term(result: EvaluationResult) -> Cell:
    """Return the least of the 12 terms, and which one it is."""
    values = {name: value for name in TERMS if (value := term(result.metrics, *name)) == value}
    if not values:
        return Cell("-")
    split, task, measure = min(values, key=values.__getitem__)
    return Cell(
        f"{values[split, task, measure]:.3f}", f"{split} {task} {'R‑L' if measure == 'regurgitation' else 'EM'}"
    )


def cell(result: EvaluationResult, key: str) -> Cell:
    """Return a metric of one model with its interval."""
    value = result.metrics.get(key)
    if value is None:
        return Cell("-")
    low, high = result.intervals.get(key, (None, None))
    return Cell(digits(value), "" if low is None or high is None else f"[{low:.2f}, {high:.2f}]")


def digits(value: float) -> str:
    """Return three decimals; what would be 0 or too long with them has two significant digits."""
    return f"{value:.1e}" if value and (abs(value) < 0.0005 or abs(value) >= 10000) else f"{value:.3f}"


def _line(models: Models, key: str, name: str, meaning: str, rank: str = "part") -> Line:
    """Return a metric of all models, with an arrow to its better end."""
    cells = tuple(cell(result, key) for result in models.values())
    return Line(f"{name} {describe(key).arrow}".strip(), meaning, cells, rank)


def _title(key: str) -> str:
    """Return the title of the table that a metric belongs to; empty for the score, its parts and the attacks."""
    part_of_aggregate = key.startswith(("forget_", "retain_")) and key.endswith(tuple(_MEASURES))
    if part_of_aggregate or key.startswith(_OFFICIAL):
        return ""
    return TITLES.get(key.partition("_")[0], "Memorisation" if key.endswith(_MEMORISATION) else "Other measurements")
