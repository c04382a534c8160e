"""The rule by which one of the methods compared is selected, and what it selects."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unlearning.artefacts import write_json
from unlearning.config.report import SelectConfig
from unlearning.errors import InputError
from unlearning.evaluation.metrics import Better, describe, is_described
from unlearning.report.comparison_row import ComparisonRow
from unlearning.report.grouping import method_settings
from unlearning.report.runs import Run
from unlearning.report.statistic import Statistic, number_with_ends

SELECTION = "selection.json"
_ALWAYS = ("final", "task_aggregate", "mia_score", "utility")
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Choice:
    """What the rule selects of one setting."""

    select: SelectConfig
    row: ComparisonRow | None
    """None where no method is allowed, or none has the number."""
    threshold: float | None
    """What the constraint asks for; None without one, or where the target's number is not known."""
    refused: tuple[str, ...]
    """Labels of the methods that have the number, and do not meet the constraint."""

    @property
    def rule(self) -> str:
        """Return the rule in words, with the value of the threshold."""
        best, constraint = "highest" if _sign(self.select.by) > 0 else "lowest", self.select.constraint
        words = f"{best} mean {describe(self.select.by).name} over seeds"
        if constraint is None:
            return words
        share = f"{'at least' if _sign(constraint.metric) > 0 else 'at most'} {constraint.share_of_target:g}"
        known = "not checked, for no run has the target's" if self.threshold is None else f"{self.threshold:.3f}"
        name = describe(constraint.metric).name
        return f"{words}, among methods with {share} of the untouched target's {name} ({known})"

    @property
    def outcome(self) -> str:
        """Return in words what is selected, with its numbers and with what speaks against it."""
        if self.row is None:
            return f"nothing, no method {'meets the condition' if self.refused else 'has that number'}"
        values = {key: value for key in self.metrics if (value := self.row.values.get(key))}
        numbers = ", ".join(f"{describe(key).name} {number_with_ends(value, key)}" for key, value in values.items())
        others = [f"others that do not meet the condition: {len(self.refused)}"] if self.refused else []
        return "; ".join([f"{self.row.label} ({numbers})", *others, *self.row.remarks])

    @property
    def metrics(self) -> list[str]:
        """Return the keys of the metrics that the rule asks for."""
        constraint = self.select.constraint
        return list(dict.fromkeys([self.select.by, *([constraint.metric] if constraint else [])]))


def choose(methods: Sequence[ComparisonRow], references: Sequence[ComparisonRow], select: SelectConfig) -> Choice:
    """Return the method with the best mean over seeds among those that meet the constraint; the first of equals.

    A method without the constraint's number does not meet it, unless the target's number is not known.
    """
    means = {row.label: _sign(select.by) * value.mean for row in methods if (value := row.values.get(select.by))}
    threshold = _threshold(references, select)
    allowed = {row.label: row for row in methods if row.label in means and _is_allowed(row, select, threshold)}
    best = max(allowed.values(), key=lambda row: means[row.label], default=None)
    return Choice(select, best, threshold, tuple(label for label in means if label not in allowed))


def check_rule(select: SelectConfig, runs: Iterable[Run]) -> None:
    """Raise InputError for a metric that neither the framework nor any of the runs knows, or without a better end."""
    measured = {key for run in runs for key in run.metrics}
    named = {"select.by": select.by}
    if select.constraint is not None:
        named["select.constraint.metric"] = select.constraint.metric
    for key, metric in named.items():
        if not is_described(metric) and metric not in measured:
            raise InputError(f"{key}={metric}: must be a metric of the runs, such as {', '.join(_ALWAYS)}")
        if describe(metric).better not in (Better.HIGHER, Better.LOWER):
            raise InputError(f"{key}={metric}: must be a metric of which lower or higher is better")


def write_choices(path: Path, choices: Mapping[str, Choice]) -> None:
    """Write the rule and the selected method of each setting, by its title.

    A method has its settings (as dotted keys), its folders relative to the file's, and the score's numbers.
    """
    records = [
        {
            "compared": title,
            "rule": choice.rule,
            **asdict(choice.select),
            "threshold": choice.threshold,
            "not_allowed": choice.refused,
            "selected": _selected(choice.row, choice.metrics, path.parent) if choice.row else None,
        }
        for title, choice in choices.items()
    ]
    write_json(path, records)


def _selected(row: ComparisonRow, metrics: Sequence[str], folder: Path) -> dict[str, Any]:
    runs, lost = ([Path(os.path.relpath(run.path, folder)).as_posix() for run in own] for own in (row.runs, row.lost))
    return {
        "method": row.label,
        "settings": {key: _plain(value) for key, value in sorted(method_settings(row.representative).items())},
        "runs": runs,
        "runs_without_result": lost,
        "numbers": {key: _numbers(row.values.get(key)) for key in dict.fromkeys([*_ALWAYS, *metrics])},
    }


def _numbers(value: Statistic | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"mean": value.mean, "interval_95": value.interval, "least": value.low, "greatest": value.high, "n": value.n}


def _plain(text: str) -> Any:
    """Return the value that `flatten` wrote as JSON; text itself stays."""
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return text


def _sign(metric: str) -> int:
    return 1 if describe(metric).better is Better.HIGHER else -1


def _threshold(references: Sequence[ComparisonRow], select: SelectConfig) -> float | None:
    """Return the share of the target's number; None without a constraint, or where that number is not known."""
    target = next((row for row in references if row.role == "target"), None)
    if select.constraint is None or target is None:
        return None
    value = target.values.get(select.constraint.metric)
    return None if value is None else select.constraint.share_of_target * value.mean


def _is_allowed(row: ComparisonRow, select: SelectConfig, threshold: float | None) -> bool:
    if select.constraint is None or threshold is None:
        return True
    value, sign = row.values.get(select.constraint.metric), _sign(select.constraint.metric)
    return value is not None and sign * value.mean >= sign * threshold - _ROUNDING
