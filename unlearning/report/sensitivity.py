"""How much each setting that was varied explains of a score, by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pandas import DataFrame, Series, qcut

from unlearning.evaluation.metrics import describe
from unlearning.report.grouping import Group
from unlearning.report.runs import Run
from unlearning.report.swept import SweptKey

MEASURES = {key: describe(key).name for key in ("final", "task_aggregate", "mia_score", "utility")}
_FEW = 2
"""Runs for each value, on average, below which numbers are put into bins."""
_MOST_BINS = 4
_ROUNDING = 1e-12
"""Sums of squares below this are rounding."""


@dataclass(frozen=True)
class Sensitivity:
    """One setting that was varied, and what it explains."""

    key: SweptKey
    levels: tuple[str, ...]
    """Labels of its values, or of bins of values, in order."""
    places: tuple[int, ...]
    """The index in `levels` of each run."""
    table: DataFrame
    """A line for each level: `runs`, and the mean of each of `MEASURES`, NaN where no run has it."""
    explained: dict[str, float | None]
    """Eta squared of each measure."""
    chance: float | None
    """Eta squared of the final score that a setting without any effect has on average."""
    runs: int
    """The number of runs with a final score."""
    binned: bool
    """Whether a level is a range of numbers."""


def sensitivities(runs: Sequence[Run], keys: Sequence[SweptKey]) -> list[Sensitivity]:
    """Return what each key explains of the scores; the one that explains most of the final score comes first."""
    found = [sensitivity(runs, key) for key in keys]
    return sorted(found, key=lambda item: -1.0 if (value := item.explained["final"]) is None else value, reverse=True)


def sensitivity(runs: Sequence[Run], key: SweptKey) -> Sensitivity:
    """Return what one key explains; each run is a point."""
    binned = needs_bins(key)
    levels, places = _bins(key) if binned else _values(key)
    frame = DataFrame([{measure: run.metrics.get(measure) for measure in MEASURES} for run in runs], dtype=float)
    groups = frame.groupby(np.array(places))
    table = groups.mean()
    table.insert(0, "runs", groups.size())
    explained = {measure: eta_squared([values.tolist() for _, values in groups[measure]]) for measure in MEASURES}
    total, filled = frame["final"].count(), (groups["final"].count() > 0).sum()
    chance = None if explained["final"] is None else float((filled - 1) / (total - 1))
    return Sensitivity(key, tuple(levels), tuple(places), table, explained, chance, int(total), binned)


def seed_share(groups: Sequence[Group]) -> float | None:
    """Return the share of the final score's variance within groups of the same settings, which differ in their seed.

    None where a group has a single run, or where there is no variance.
    """
    finals = [[value for run in group.runs if (value := run.metrics.get("final")) is not None] for group in groups]
    explained = eta_squared(finals) if all(len(group) > 1 for group in finals) else None
    return None if explained is None else 1 - explained


def needs_bins(key: SweptKey) -> bool:
    """Return whether hardly any of its numbers occurs twice, as after a search that draws them."""
    distinct = len(set(key.numbers or ()))
    return distinct > 2 and len(key.texts) < _FEW * distinct


def eta_squared(groups: Sequence[Sequence[float]]) -> float | None:
    """Return the share of the variance that lies between groups, the correlation ratio.

    It is the sum over groups of n_g (m_g - m)^2 over the sum over all of (x - m)^2, from 0 (all groups have the same
    mean) to 1 (within each group all are equal). It sees one setting at a time and ignores interactions. Without any
    effect it is (groups - 1) / (values - 1) on average. NaN counts as missing. None with a single group, where no group
    has two values (it would be 1 whatever they are), and where all values are the same.
    """
    values = Series([value for group in groups for value in group], dtype=float)
    known = values.groupby([number for number, group in enumerate(groups) for _ in group]) if len(values) else None
    if known is None:
        return None
    sizes, means = known.count(), known.mean()
    total = float(((values - values.mean()) ** 2).sum())
    if (sizes > 0).sum() < 2 or sizes.max() < 2 or total < _ROUNDING:
        return None
    return float((sizes * (means - values.mean()) ** 2).sum()) / total


def _values(key: SweptKey) -> tuple[list[str], list[int]]:
    return [key.labels[level] for level in key.levels], [key.levels.index(text) for text in key.texts]


def _bins(key: SweptKey) -> tuple[list[str], list[int]]:
    """Return bins that have about as many runs each, named by the least and the greatest value in them."""
    numbers, labels = Series(key.numbers), key.labels
    count = min(_MOST_BINS, max(2, len(numbers) // 4))
    places = qcut(numbers, count, labels=False, duplicates="drop").rank(method="dense").astype(int) - 1
    found = []
    for _, part in numbers.groupby(places):
        first, last = (labels[key.texts[index]] for index in (part.idxmin(), part.idxmax()))
        found.append(first if first == last else f"{first} to {last}")
    return found, places.tolist()
