"""Which settings were varied between the runs of a comparison, and how much each explains of a score, by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame, Series, qcut

from unlearning.evaluation.metrics import describe
from unlearning.report.comparison_row import ComparisonRow
from unlearning.report.grouping import method_settings
from unlearning.report.runs import Run
from unlearning.report.settings import as_number, leading, setting_name, value_labels, varied

MEASURES = {key: describe(key).name for key in ("final", "task_aggregate", "mia_score", "utility")}
_FEW = 2
"""Runs for each value, on average, below which numbers are put into bins."""
_MOST_BINS = 4
_ROUNDING = 1e-12
"""Sums of squares below this are rounding."""
_LONGEST = 22
"""Characters of a value beside a figure; longer text loses its beginning."""


@dataclass(frozen=True)
class SweptKey:
    """One setting that was varied."""

    key: str
    texts: tuple[str, ...]
    """Its value in each run; `settings.ABSENT` where the run has no such setting."""
    together: tuple[str, ...] = ()
    """Settings whose value follows from this one's in all of these runs."""

    @property
    def name(self) -> str:
        """Return its name for people."""
        return setting_name(self.key)

    @property
    def numbers(self) -> tuple[float, ...] | None:
        """Return the number of each run; None where a value is no number."""
        found = [value for text in self.texts if (value := as_number(text)) is not None]
        return tuple(found) if len(found) == len(self.texts) else None

    @property
    def levels(self) -> list[str]:
        """Return its different values: numbers by size, then text."""
        numbers = {text: as_number(text) for text in self.texts}
        return sorted(numbers, key=lambda text: (numbers[text] is None, numbers[text] or 0.0, text))

    @property
    def labels(self) -> dict[str, str]:
        """Return each value for people."""
        return value_labels(self.key, self.levels, _LONGEST)


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

    @property
    def chance(self) -> float:
        """Return the eta squared that a setting without any effect has on average."""
        return (len(self.levels) - 1) / (len(self.places) - 1)


def swept_keys(runs: Sequence[Run]) -> list[SweptKey]:
    """Return the settings that were varied: the method first, then the choice of each part, then the others by name."""
    table = varied(map(method_settings, runs))
    return [SweptKey(key, tuple(table[key]), tuple(map(setting_name, own))) for key, own in leading(table).items()]


def sensitivities(runs: Sequence[Run], keys: Sequence[SweptKey]) -> list[Sensitivity]:
    """Return what each key explains of the scores; the one that explains most of the final score comes first."""
    found = [sensitivity(runs, key) for key in keys]
    return sorted(found, key=lambda item: -1.0 if (value := item.explained["final"]) is None else value, reverse=True)


def sensitivity(runs: Sequence[Run], key: SweptKey) -> Sensitivity:
    """Return what one key explains; each run is a point."""
    levels, places = _levels(key)
    scores = DataFrame([run.metrics for run in runs]).reindex(columns=list(MEASURES)).astype(float)
    groups = scores.groupby(places)
    table = groups.mean()
    table.insert(0, "runs", groups.size())
    explained = {measure: eta_squared(scores[measure], places) for measure in MEASURES}
    return Sensitivity(key, tuple(levels), tuple(places.tolist()), table, explained)


def seed_share(methods: Sequence[ComparisonRow]) -> float | None:
    """Return the share of the final score's variance that lies within methods, whose runs differ in their seed.

    None where a method has a single run, or where there is no variance.
    """
    places = np.repeat(np.arange(len(methods)), [len(row.runs) for row in methods])
    finals = Series([run.metrics.get("final") for row in methods for run in row.runs], dtype=float)
    explained = eta_squared(finals, places) if (finals.groupby(places).count() > 1).all() else None
    return None if explained is None else 1 - explained


def eta_squared(values: Series, places: NDArray[np.int64]) -> float | None:
    """Return the share of the variance of `values` that lies between groups, the correlation ratio.

    Values of the same place are a group. The share is the sum over groups of n_g (m_g - m)^2 over the sum over all of
    (x - m)^2, from 0 (all groups have the same mean) to 1 (within each group all are equal). It sees one setting at a
    time and ignores interactions. Without any effect it is (groups - 1) / (values - 1) on average. NaN counts as
    missing. None with a single group, where no group has two values (it would be 1 whatever they are), and where all
    values are the same.
    """
    groups, mean = values.groupby(places), values.mean()
    sizes, total = groups.count(), float(((values - mean) ** 2).sum())
    if (sizes > 0).sum() < 2 or sizes.max() < 2 or total < _ROUNDING:
        return None
    return float((sizes * (groups.mean() - mean) ** 2).sum()) / total


def _levels(key: SweptKey) -> tuple[list[str], NDArray[np.int64]]:
    """Return the labels of a setting's values in order, and which of them each run has.

    Numbers of which hardly any occurs twice, as after a search that draws them, are put into bins that have about as
    many runs each, named by the least and the greatest value in them.
    """
    numbers = Series(key.numbers, dtype=float)
    if numbers.nunique() <= 2 or len(numbers) >= _FEW * numbers.nunique():
        return [key.labels[level] for level in key.levels], np.array([key.levels.index(text) for text in key.texts])
    count = min(_MOST_BINS, max(2, len(numbers) // 4))
    places = Series(qcut(numbers, count, labels=False, duplicates="drop")).factorize(sort=True)[0]
    ends = numbers.groupby(places).agg(["min", "max"]).itertuples(index=False)
    return [f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}" for low, high in ends], places
