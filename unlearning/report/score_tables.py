"""Tables of the evaluation section: what the final score is made of, and membership attacks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from unlearning.config.evaluation import QuestionFormat
from unlearning.evaluation.membership import ATTACKS, auc_key, tpr_key
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

Models = Mapping[str, EvaluationResult]


@dataclass(frozen=True)
class Cell:
    """A number, ready to print."""

    text: str
    note: str = ""
    """Under it, small: its 95% interval, or what it is of."""


@dataclass(frozen=True)
class Line:
    """One row of a table."""

    name: str
    meaning: str
    cells: tuple[Cell, ...]
    rank: str = "part"
    """total, part or detail: how it is set."""
    in_words: bool = False
    """Whether the notes are words, not intervals."""


@dataclass(frozen=True)
class ScoreTable:
    """Lines of numbers, a column a model, or for each measure a group of such columns."""

    title: str
    hint: str
    models: tuple[str, ...]
    lines: tuple[Line, ...]
    measures: tuple[str, ...] = ()


def final_table(models: Models, counted: QuestionFormat | None) -> ScoreTable:
    """The final score, its three parts, and under each what it comes from."""
    probes = (("regurgitation", "ROUGE‑L", "recall of completions"), ("knowledge", "exact match", "right answers"))
    lines = (
        metric_line(models, "final", "Final score ↑", "mean of the three parts", "total"),
        metric_line(models, "task_aggregate", "Task aggregate ↑", "harmonic mean of the 12 terms"),
        Line("lowest term ↑", "it weighs most", tuple(map(lowest_term, models.values())), "detail", in_words=True),
        *(
            metric_line(models, f"{split}_{probe}", f"{split} {name} {arrow}", meaning, "detail")
            for split, arrow in (("forget", "↓"), ("retain", "↑"))
            for probe, name, meaning in probes
        ),
        metric_line(models, "mia_score", "Membership score ↑", "1 − 2 |AUC − 0.5|"),
        metric_line(models, "mia_auc", "AUC of the loss", "0.5 is best", "detail"),
        metric_line(models, "utility", "Utility ↑", _asked(models, counted)),
        *_other_utilities(models, counted),
    )
    shown = tuple(line for line in lines if line.rank != "detail" or any(item.text != "-" for item in line.cells))
    hint = INTERVAL_HINT if any(result.intervals for result in models.values()) else ""
    return ScoreTable("What the final score is made of", hint, tuple(models), shown)


def attack_table(models: Models) -> ScoreTable | None:
    """Each attack's numbers on each model; None where none was measured."""
    lines = []
    for attack in ATTACKS:
        name, meaning = ATTACK_NAMES[attack]
        keys = [auc_key(attack), *(tpr_key(rate, attack) for rate in RATES)]
        if any(has_value(models, key) for key in keys):
            lines.append(Line(name, meaning, tuple(cell(result, key) for key in keys for result in models.values())))
    if not lines:
        return None
    measures = ("AUC, 0.5 is best", *RATES.values())
    return ScoreTable(
        "Attacks", "each tells documents that were trained on from others", tuple(models), tuple(lines), measures
    )


def lowest_term(result: EvaluationResult) -> Cell:
    """The least of the 12 terms, and which one it is."""
    values = {name: value for name in TERMS if (value := term(result.metrics, *name)) == value}
    if not values:
        return Cell("-")
    split, task, metric = min(values, key=values.__getitem__)
    name = "R‑L" if metric == "regurgitation" else "EM"
    return Cell(f"{values[split, task, metric]:.3f}", f"{split} {task} {name}")


def cell(result: EvaluationResult, key: str) -> Cell:
    """A metric of one model."""
    value = result.metrics.get(key)
    if value is None:
        return Cell("-")
    low, high = result.intervals.get(key, (None, None))
    return Cell(digits(value), "" if low is None or high is None else f"[{low:.2f}, {high:.2f}]")


def directed(meaning: str) -> tuple[str, str]:
    """A metric's meaning without the words that say which direction is better, and an arrow in their place."""
    text, _, last = meaning.rpartition("; ")
    arrow = {"lower is better": "↓", "higher is better": "↑"}.get(last, "")
    return (text, arrow) if arrow else (meaning, "")


def digits(value: float) -> str:
    """Three decimals; what would be 0 or too long with them has two significant digits."""
    if value and (abs(value) < 0.0005 or abs(value) >= 10000):
        return f"{value:.1e}"
    return f"{value:.3f}"


def metric_line(models: Models, key: str, name: str, meaning: str, rank: str = "part") -> Line:
    """A metric of all models."""
    return Line(name, meaning, tuple(cell(result, key) for result in models.values()), rank)


def _asked(models: Models, counted: QuestionFormat | None) -> str:
    """How utility was measured."""
    counts = {len(questions(result, counted)) for result in models.values()} - {0}
    many = f" to {max(counts):,} questions" if counts else ""
    form = f", {counted} format" if counted is not None else ""
    return f"right answers{many}{form}"


def questions(result: EvaluationResult, counted: QuestionFormat | None) -> list[QuestionScore]:
    """Those that utility counts."""
    return result.letters if counted is QuestionFormat.letters else result.cloze


def _other_utilities(models: Models, counted: QuestionFormat | None) -> Iterable[Line]:
    """The mean over subjects, and the format that does not count."""
    subjects = {len({item.subject for item in questions(result, counted)}) for result in models.values()} - {0}
    over = f"{max(subjects)} subjects" if subjects else "the subjects"
    if has_value(models, "utility_macro"):
        yield metric_line(models, "utility_macro", "macro average", f"mean of {over}' shares", "detail")
    for form in QuestionFormat:
        key = f"utility_{form}"
        if form is not counted and has_value(models, key):
            yield metric_line(models, key, f"{form} format", "does not count for the score", "detail")


def has_value(models: Models, key: str) -> bool:
    """Whether any of the models has the metric."""
    return any(result.metrics.get(key) is not None for result in models.values())
