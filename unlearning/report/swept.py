"""Which settings were varied between the runs of a comparison, without those that only followed another one."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from pandas import DataFrame, Series, factorize

from unlearning.report.grouping import method_settings, readable
from unlearning.report.labels import short_values, shortened
from unlearning.report.runs import Run

_METHOD = "method"
_ABSENT = "not set"


@dataclass(frozen=True)
class SweptKey:
    """One setting that was varied."""

    key: str
    texts: tuple[str | None, ...]
    """Its value in each run; None where the run has no such setting."""
    together: tuple[str, ...] = ()
    """Settings whose value follows from this one's in all of these runs."""

    @property
    def name(self) -> str:
        """Return its name for people."""
        return readable(self.key, "")[0]

    @property
    def numbers(self) -> tuple[float, ...] | None:
        """Return the number of each run; None where a value is no number."""
        found = [as_number(text) for text in self.texts]
        return None if any(value is None for value in found) else tuple(value for value in found if value is not None)

    @property
    def levels(self) -> list[str | None]:
        """Return its different values: numbers by size, then text, then None."""
        return sorted(dict.fromkeys(self.texts), key=_order)

    @property
    def labels(self) -> dict[str | None, str]:
        """Return each value for people."""
        texts = [text for text in self.levels if text is not None]
        short = short_values(readable(self.key, text)[1] for text in texts)
        shown: dict[str | None, str] = {text: short[readable(self.key, text)[1]] for text in texts}
        cut = {text: shortened(label) for text, label in shown.items()}
        distinct = len(set(cut.values())) == len(cut)
        return {None: _ABSENT, **(cut if distinct else shown)}

    @property
    def is_logarithmic(self) -> bool:
        """Return whether its numbers lie more evenly on a logarithmic axis."""
        return self.numbers is not None and prefers_logarithm(self.numbers)


def swept_keys(runs: Sequence[Run]) -> list[SweptKey]:
    """Return the settings that were varied: the method first, then the choice of each part, then the others by name.

    Of settings that always changed together only the first counts, and none whose value follows from the method or
    from the choice of a part, such as that part's own numbers. Where each combination has a value of its own, as after
    a search that draws numbers, nothing can be said to have changed together.
    """
    flats = [method_settings(run) for run in runs]
    # A column for each setting, a row for each run: which of the setting's values it is.
    names = sorted({key for flat in flats for key in flat}, key=lambda key: (key != _METHOD, not _is_choice(key), key))
    columns = {key: [flat.get(key, _ABSENT) for flat in flats] for key in names}
    columns = {key: values for key, values in columns.items() if len(set(values)) > 1}
    codes = DataFrame({key: factorize(Series(values, dtype=object))[0] for key, values in columns.items()})
    combinations = len(codes.drop_duplicates())
    found: dict[str, list[str]] = {}
    for key in codes:
        leaders = [other for other in found if _follows(codes, other, key)]
        drawn = codes[key].nunique() == combinations
        leader = next((one for one in leaders if _is_choice(one) or (not drawn and _follows(codes, key, one))), None)
        if leader is None:
            found[key] = []
        else:
            found[leader].append(readable(key, "")[0])
    return [SweptKey(key, tuple(flat.get(key) for flat in flats), tuple(after)) for key, after in found.items()]


def prefers_logarithm(numbers: Sequence[float]) -> bool:
    """Return whether the middle value is nearer to the middle of a logarithmic axis than to that of a linear one.

    Of two values: whether one is ten times the other. Numbers of 0 and below have no logarithm.
    """
    values = sorted(set(numbers))
    if len(values) < 2 or values[0] <= 0:
        return False
    low, middle, high = values[0], median(values), values[-1]
    if len(values) == 2:
        return high >= 10 * low
    linear, logarithmic = (middle - low) / (high - low), math.log(middle / low) / math.log(high / low)
    return abs(logarithmic - 0.5) < abs(linear - 0.5)


def as_number(text: str | None) -> float | None:
    """Return the finite number that a setting's text is; None for any other text."""
    try:
        value = json.loads(text) if text is not None else None
    except ValueError:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _is_choice(key: str) -> bool:
    return key == _METHOD or key.endswith("._target_")


def _follows(codes: DataFrame, leader: str, other: str) -> bool:
    """Return whether `other` has one value wherever `leader` has one."""
    pairs: int = len(codes[[leader, other]].drop_duplicates())
    values: int = codes[leader].nunique()
    return pairs == values


def _order(text: str | None) -> tuple[int, float, str]:
    value = as_number(text)
    if value is not None:
        return 0, value, ""
    return (2, 0.0, "") if text is None else (1, 0.0, text)
