"""The rule by which one of the settings compared is selected, and what it selects."""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unlearning.artefacts import write_json
from unlearning.config.report import ConstraintConfig, SelectConfig
from unlearning.errors import InputError
from unlearning.report.directions import MEANINGS, is_higher_better, metric_name
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
    """None: no group is allowed, or none has the number."""
    threshold: float | None
    """What the constraint asks for; None without one, or where the target's number is not known."""
    refused: tuple[str, ...]
    """Labels of the groups that have the number, and do not keep enough."""
    equal: tuple[str, ...]
    """Labels of other groups with the same best mean."""
    candidates: int
    """Groups that have the number, allowed or not."""

    @property
    def rule(self) -> str:
        """In words, with the threshold's value."""
        best = "highest" if is_higher_better(self.select.by) else "lowest"
        words = f"{best} mean {metric_name(self.select.by)} over seeds"
        constraint = self.select.constraint
        if constraint is None:
            return words
        bound = "at least" if is_higher_better(constraint.metric) else "at most"
        asked = f"{bound} {constraint.share_of_target:g} of the untouched target's {metric_name(constraint.metric)}"
        known = "not checked, for no run has the target's" if self.threshold is None else f"{self.threshold:.3f}"
        return f"{words}, among methods with {asked} ({known})"

    @property
    def outcome(self) -> str:
        """In words."""
        if self.group is None:
            met = f"none of {self.candidates} meets the condition" if self.refused else "no method has that number"
            return f"nothing, {met}"
        constraint = self.select.constraint
        asked = [self.select.by, *([constraint.metric] if constraint else [])]
        told = [_told(key, group_statistic(self.group, key)) for key in dict.fromkeys(asked)]
        words = [f"{self.group.label} ({', '.join(filter(None, told))})"]
        if self.refused:
            words.append(f"{len(self.refused)} of {self.candidates} do not meet the condition")
        if self.equal:
            words.append(f"the first by name of {len(self.equal) + 1} with the same mean")
        if self.group.lost:
            lost = len(self.group.lost)
            words.append(f"{lost} of its {lost + len(self.group.runs)} runs have no result")
        return "; ".join(words)


def choose(setting: Setting, select: SelectConfig) -> Choice:
    """The group of the best mean over seeds, among those whose mean keeps to the constraint; the first by label of
    several. A group without the constraint's number does not keep to it, unless that of the target is not known."""
    sign = 1 if is_higher_better(select.by) else -1
    values = {group.label: value.mean for group in setting.groups if (value := group_statistic(group, select.by))}
    threshold = _threshold(setting.runs, select.constraint)
    allowed = [
        group for group in setting.groups if group.label in values and _keeps(group, select.constraint, threshold)
    ]
    best = max((sign * values[group.label] for group in allowed), default=None)
    winners = [group for group in allowed if sign * values[group.label] == best]
    return Choice(
        select=select,
        group=winners[0] if winners else None,
        threshold=threshold,
        refused=tuple(label for label in values if label not in {group.label for group in allowed}),
        equal=tuple(group.label for group in winners[1:]),
        candidates=len(values),
    )


def check_rule(select: SelectConfig, runs: Iterable[Run]) -> None:
    """Raises InputError for a metric that neither the framework nor any of the runs knows, or without a better end."""
    known = set(MEANINGS) | {key for run in runs for key in run.metrics}
    named = {"select.by": select.by}
    if select.constraint is not None:
        named["select.constraint.metric"] = select.constraint.metric
    for key, metric in named.items():
        if metric not in known:
            raise InputError(f"{key}={metric}: must be a metric of the runs, such as {', '.join(_ALWAYS)}")
        if is_higher_better(metric) is None:
            raise InputError(f"{key}={metric}: must be a metric of which lower or higher is better")


def group_statistic(group: Group, metric: str) -> Statistic | None:
    """Over the group's seeds."""
    return statistic([run.metrics.get(metric) for run in group.runs], seeds=group.seeds)


def write_choices(path: Path, choices: Mapping[str, Choice]) -> None:
    """Of each setting, by its title, the rule and the group it selects, with settings (as dotted keys), folders
    relative to the file's, and the score's numbers with their 95% intervals over seeds."""
    write_json(path, [{"compared": title, **_record(choice, path.parent)} for title, choice in choices.items()])


def _record(choice: Choice, folder: Path) -> dict[str, Any]:
    group, constraint = choice.group, choice.select.constraint
    record: dict[str, Any] = {
        "rule": choice.rule,
        "by": choice.select.by,
        "constraint": constraint and {"metric": constraint.metric, "share_of_target": constraint.share_of_target},
        "threshold": choice.threshold,
        "not_allowed": choice.refused,
        "equal": choice.equal,
        "selected": None,
    }
    if group is not None:
        asked = (*_ALWAYS, choice.select.by, *([constraint.metric] if constraint else []))
        record["selected"] = {
            "method": group.label,
            "settings": {key: _plain(value) for key, value in sorted(method_settings(group.representative).items())},
            "runs": _places(group.runs, folder),
            "runs_without_result": _places(group.lost, folder),
            "numbers": {key: _numbers(group_statistic(group, key)) for key in dict.fromkeys(asked)},
        }
    return record


def _numbers(value: Statistic | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"mean": value.mean, "interval_95": value.interval, "least": value.low, "greatest": value.high, "n": value.n}


def _places(runs: Sequence[Run], folder: Path) -> list[str]:
    return [Path(os.path.relpath(run.path, folder)).as_posix() for run in runs]


def _plain(text: str) -> Any:
    """What `flatten` wrote as JSON; text itself stays."""
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return text


def _told(metric: str, value: Statistic | None) -> str:
    if value is None:
        return ""
    half = "" if value.half is None else f" ± {value.half:.3f}"
    return f"{metric_name(metric)} {value.mean:.3f}{half}"


def _threshold(runs: Iterable[Run], constraint: ConstraintConfig | None) -> float | None:
    if constraint is None:
        return None
    known = [value for run in runs if run.target and (value := run.target.get(constraint.metric)) is not None]
    return constraint.share_of_target * known[0] if known else None


def _keeps(group: Group, constraint: ConstraintConfig | None, threshold: float | None) -> bool:
    if constraint is None or threshold is None:
        return True
    value = group_statistic(group, constraint.metric)
    mean = math.nan if value is None else value.mean
    if is_higher_better(constraint.metric):
        return mean >= threshold - _ROUNDING
    return mean <= threshold + _ROUNDING
