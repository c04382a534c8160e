"""The rule by which one of the settings compared is selected, and what it selects."""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unlearning.artefacts import write_json
from unlearning.config.report import ConstraintConfig, SelectConfig
from unlearning.errors import InputError
from unlearning.evaluation.metrics import Better, describe, is_described
from unlearning.report.grouping import Group, Setting, method_settings
from unlearning.report.runs import Run
from unlearning.report.statistic import Statistic, statistic

SELECTION = "selection.json"
_ALWAYS = ("final", "task_aggregate", "mia_score", "utility")
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Choice:
    """What the rule selects of one setting."""

    select: SelectConfig
    group: Group | None
    """None where no group is allowed, or none has the number."""
    threshold: float | None
    """What the constraint asks for; None without one, or where the target's number is not known."""
    refused: tuple[str, ...]
    """Labels of the groups that have the number, and do not meet the constraint."""
    equal: tuple[str, ...]
    """Labels of other groups with the same best mean."""
    candidates: int
    """The number of groups that have the number, allowed or not."""

    @property
    def rule(self) -> str:
        """Return the rule in words, with the value of the threshold."""
        best = "highest" if _is_higher_better(self.select.by) else "lowest"
        words = f"{best} mean {describe(self.select.by).name} over seeds"
        constraint = self.select.constraint
        if constraint is None:
            return words
        bound = "at least" if _is_higher_better(constraint.metric) else "at most"
        share, name = f"{bound} {constraint.share_of_target:g}", describe(constraint.metric).name
        known = "not checked, for no run has the target's" if self.threshold is None else f"{self.threshold:.3f}"
        return f"{words}, among methods with {share} of the untouched target's {name} ({known})"

    @property
    def outcome(self) -> str:
        """Return in words what is selected, with its numbers and with what speaks against it."""
        if self.group is None:
            met = f"none of {self.candidates} meets the condition" if self.refused else "no method has that number"
            return f"nothing, {met}"
        numbers = [_shown(key, group_statistic(self.group, key)) for key in self.metrics]
        words = [f"{self.group.label} ({', '.join(filter(None, numbers))})"]
        if self.refused:
            words.append(f"{len(self.refused)} of {self.candidates} do not meet the condition")
        if self.equal:
            words.append(f"the first by name of {len(self.equal) + 1} with the same mean")
        if self.group.lost:
            lost = len(self.group.lost)
            words.append(f"{lost} of its {lost + len(self.group.runs)} runs have no result")
        return "; ".join(words)

    @property
    def metrics(self) -> list[str]:
        """Return the keys of the metrics that the rule asks for."""
        constraint = self.select.constraint
        return list(dict.fromkeys([self.select.by, *([constraint.metric] if constraint else [])]))


def choose(setting: Setting, select: SelectConfig) -> Choice:
    """Return the group with the best mean over seeds among those that meet the constraint; the first label of equals.

    A group without the constraint's number does not meet it, unless the target's number is not known.
    """
    sign = 1 if _is_higher_better(select.by) else -1
    values = {group.label: value.mean for group in setting.groups if (value := group_statistic(group, select.by))}
    threshold = _threshold(setting.runs, select.constraint)
    there = [group for group in setting.groups if group.label in values]
    allowed = [group for group in there if _is_allowed(group, select.constraint, threshold)]
    best = max((sign * values[group.label] for group in allowed), default=None)
    winners = [group for group in allowed if sign * values[group.label] == best]
    return Choice(
        select=select,
        group=winners[0] if winners else None,
        threshold=threshold,
        refused=tuple(group.label for group in there if group not in allowed),
        equal=tuple(group.label for group in winners[1:]),
        candidates=len(values),
    )


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


def group_statistic(group: Group, metric: str) -> Statistic | None:
    """Return a metric over the group's seeds."""
    about = describe(metric)
    values = [run.metrics.get(metric) for run in group.runs]
    return statistic(values, seeds=group.seeds, possible=(about.lowest, about.highest))


def write_choices(path: Path, choices: Mapping[str, Choice]) -> None:
    """Write the rule and the selected group of each setting, by its title.

    A group has its settings (as dotted keys), its folders relative to the file's, and the score's numbers.
    """
    records = [
        {
            "compared": title,
            "rule": choice.rule,
            "by": choice.select.by,
            "constraint": asdict(choice.select.constraint) if choice.select.constraint else None,
            "threshold": choice.threshold,
            "not_allowed": choice.refused,
            "equal": choice.equal,
            "selected": _selected(choice.group, choice.metrics, path.parent) if choice.group else None,
        }
        for title, choice in choices.items()
    ]
    write_json(path, records)


def _selected(group: Group, metrics: Sequence[str], folder: Path) -> dict[str, Any]:
    settings, asked = method_settings(group.representative), dict.fromkeys([*_ALWAYS, *metrics])
    return {
        "method": group.label,
        "settings": {key: _plain(value) for key, value in sorted(settings.items())},
        "runs": _places(group.runs, folder),
        "runs_without_result": _places(group.lost, folder),
        "numbers": {key: _numbers(group_statistic(group, key)) for key in asked},
    }


def _numbers(value: Statistic | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"mean": value.mean, "interval_95": value.interval, "least": value.low, "greatest": value.high, "n": value.n}


def _places(runs: Sequence[Run], folder: Path) -> list[str]:
    return [Path(os.path.relpath(run.path, folder)).as_posix() for run in runs]


def _plain(text: str) -> Any:
    """Return the value that `flatten` wrote as JSON; text itself stays."""
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return text


def _shown(metric: str, value: Statistic | None) -> str:
    if value is None:
        return ""
    (low, high), name = value.ends, f"{describe(metric).name} {value.mean:.3f}"
    if value.interval is not None:
        return f"{name} [{low:.3f}, {high:.3f}]"
    return f"{name} ({low:.3f}–{high:.3f})" if high > low else name


def _is_higher_better(metric: str) -> bool:
    return describe(metric).better is Better.HIGHER


def _threshold(runs: Iterable[Run], constraint: ConstraintConfig | None) -> float | None:
    if constraint is None:
        return None
    known = [value for run in runs if run.target and (value := run.target.get(constraint.metric)) is not None]
    return constraint.share_of_target * known[0] if known else None


def _is_allowed(group: Group, constraint: ConstraintConfig | None, threshold: float | None) -> bool:
    if constraint is None or threshold is None:
        return True
    value = group_statistic(group, constraint.metric)
    mean = math.nan if value is None else value.mean
    higher = _is_higher_better(constraint.metric)
    return mean >= threshold - _ROUNDING if higher else mean <= threshold + _ROUNDING
