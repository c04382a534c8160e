"""Tables of an evaluation: what the final score is made of, membership attacks, and whatever else was measured."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from unlearning.config.evaluation import QuestionFormat
from unlearning.evaluation.harness import by_task
from unlearning.evaluation.membership import ATTACKS, auc_key, tpr_key
from unlearning.evaluation.metrics import describe
from unlearning.evaluation.result import EvaluationResult, QuestionScore
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
_MEASURES = ("regurgitation", "knowledge")

Models = Mapping[str, EvaluationResult]


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


def final_table(models: Models, counted: QuestionFormat | None) -> ScoreTable:
    """Return the final score, its three parts, and under each part what it comes from."""
    results = models.values()
    questions = max((len(_questions(result, counted)) for result in results), default=0)
    subjects = max((len({item.subject for item in _questions(result, counted)}) for result in results), default=0)
    asked = (f" to {questions:,} questions" if questions else "") + (f", {counted} format" if counted else "")
    lines = [
        _line(models, "final", "Final score", "mean of the three parts", "total"),
        _line(models, "task_aggregate", "Task aggregate", "harmonic mean of the 12 terms"),
        Line("lowest term ↑", "it weighs most", tuple(map(lowest_term, results)), "detail"),
        *(
            _line(models, f"{split}_{measure}", f"{split} {name}", meaning, "detail")
            for split in ("forget", "retain")
            for measure, name, meaning in (
                ("regurgitation", "ROUGE‑L", "recall of completions"),
                ("knowledge", "exact match", "right answers"),
            )
        ),
        _line(models, "mia_score", "Membership score", "1 − 2 |AUC − 0.5|"),
        _line(models, "mia_auc", "AUC of the loss", "0.5 is best", "detail"),
        _line(models, "utility", "Utility", f"right answers{asked}"),
        _line(models, "utility_macro", "macro average", f"mean of {subjects or 'the'} subjects' shares", "detail"),
        *(
            _line(models, f"utility_{form}", f"{form} format", "does not count for the score", "detail")
            for form in QuestionFormat
            if form is not counted
        ),
    ]
    shown = tuple(line for line in lines if line.rank != "detail" or any(item.text != "-" for item in line.cells))
    hint = INTERVAL_HINT if any(result.intervals for result in results) else ""
    return ScoreTable("What the final score is made of", hint, tuple(models), shown)


def attack_table(models: Models) -> ScoreTable | None:
    """Return each attack's numbers on each model; None where none was measured."""
    lines = []
    for attack in ATTACKS:
        keys = [auc_key(attack), *(tpr_key(rate, attack) for rate in RATES)]
        if any(_has_value(models, key) for key in keys):
            cells = tuple(cell(result, key) for key in keys for result in models.values())
            lines.append(Line(*ATTACK_NAMES[attack], cells))
    measures = ("AUC, 0.5 is best", *RATES.values())
    hint = "each tells documents that were trained on from others"
    return ScoreTable("Attacks", hint, tuple(models), tuple(lines), measures) if lines else None


def other_tables(models: Models) -> list[ScoreTable]:
    """Return all that was measured besides the score and the attacks, by where it comes from; nothing empty."""
    groups: dict[str, list[Line]] = {}
    for key in dict.fromkeys(key for result in models.values() for key in result.metrics):
        if not _is_official(key) and _has_value(models, key):
            about = describe(key)
            groups.setdefault(_origin(key), []).append(_line(models, key, about.name, about.meaning))
    if tasks := list(_harness_lines(models)):
        groups["Tasks of lm-evaluation-harness"] = tasks
    return [ScoreTable(title, "", tuple(models), tuple(lines)) for title, lines in groups.items()]


def lowest_term(result: EvaluationResult) -> Cell:
    """Return the least of the 12 terms, and which one it is."""
    values = {name: value for name in TERMS if (value := term(result.metrics, *name)) == value}
    if not values:
        return Cell("-")
    split, task, measure = min(values, key=values.__getitem__)
    name = "R‑L" if measure == "regurgitation" else "EM"
    return Cell(f"{values[split, task, measure]:.3f}", f"{split} {task} {name}")


def cell(result: EvaluationResult, key: str) -> Cell:
    """Return a metric of one model with its interval."""
    value = result.metrics.get(key)
    if value is None:
        return Cell("-")
    low, high = result.intervals.get(key, (None, None))
    return Cell(digits(value), "" if low is None or high is None else f"[{low:.2f}, {high:.2f}]")


def digits(value: float) -> str:
    """Return three decimals; what would be 0 or too long with them has two significant digits."""
    if value and (abs(value) < 0.0005 or abs(value) >= 10000):
        return f"{value:.1e}"
    return f"{value:.3f}"


def _line(models: Models, key: str, name: str, meaning: str, rank: str = "part") -> Line:
    """Return a metric of all models, with an arrow to its better end."""
    cells = tuple(cell(result, key) for result in models.values())
    return Line(f"{name} {describe(key).arrow}".strip(), meaning, cells, rank)


def _questions(result: EvaluationResult, counted: QuestionFormat | None) -> list[QuestionScore]:
    """Return the questions that utility counts."""
    return result.letters if counted is QuestionFormat.letters else result.cloze


def _has_value(models: Models, key: str) -> bool:
    return any(result.metrics.get(key) is not None for result in models.values())


def _is_official(key: str) -> bool:
    return key.startswith(_OFFICIAL) or (key.startswith(("forget_", "retain_")) and key.endswith(_MEASURES))


def _origin(key: str) -> str:
    """Return the title of the table that a key belongs to."""
    other = "Memorisation" if key.endswith(_MEMORISATION) else "Other measurements"
    return TITLES.get(key.partition("_")[0], other)


def _harness_lines(models: Models) -> Iterable[Line]:
    """Yield every metric of every task; the harness's own standard error makes the interval."""
    found = [
        {(task, name): value for task, values in by_task(result).items() for name, value in values.items()}
        for result in models.values()
    ]
    for task, metric in dict.fromkeys(key for values in found for key in values):
        if "_stderr" not in metric:
            yield Line(f"{task} {metric}", "", tuple(_harness_cell(values, task, metric) for values in found))


def _harness_cell(values: Mapping[tuple[str, str], float], task: str, metric: str) -> Cell:
    value = values.get((task, metric))
    if value is None:
        return Cell("-")
    name, comma, kind = metric.partition(",")
    error = values.get((task, f"{name}_stderr{comma}{kind}"))
    return Cell(digits(value), "" if error is None else f"[{value - 1.96 * error:.2f}, {value + 1.96 * error:.2f}]")
