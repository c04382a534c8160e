"""The settings of runs as one flat table, and which of them a reader wants to see."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from pandas import DataFrame

from unlearning.config.commands import UnlearnConfig
from unlearning.config.objective import ObjectiveConfig
from unlearning.config.schedule import ScheduleConfig
from unlearning.config.scope import ScopeConfig
from unlearning.config.trace import TraceConfig
from unlearning.report.runs import finite

Flat = dict[str, str]
Facts = list[tuple[str, str]]
ABSENT = "not set"
METHOD = "method"


def flatten(config: Mapping[str, Any], prefix: str = "") -> Flat:
    """Return dotted keys and values as text; lists stay whole."""
    flat: Flat = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return flat


def varied(settings: Iterable[Flat]) -> DataFrame:
    """Return the settings that are not the same everywhere: a row for each of `settings`, the columns by name."""
    table = DataFrame(settings).fillna(ABSENT)
    return table.loc[:, table.nunique() > 1].sort_index(axis="columns")


def leading(table: DataFrame) -> dict[str, list[str]]:
    """Return the columns that were chosen, each with those that only followed from it.

    The method comes first, then the choice of each part, then the others. Of settings that always changed together the
    first counts, and none whose value follows from the method or from the choice of a part, such as that part's own
    numbers. Where each row has a value of its own, as after a search that draws numbers, nothing can be said to have
    changed together.
    """
    table = table.apply(lambda column: column.factorize()[0]).drop_duplicates()
    found: dict[str, list[str]] = {}
    for key in sorted(table, key=lambda key: (key != METHOD, not _is_choice(key))):
        drawn = table[key].nunique() == len(table)
        for leader in found:
            pairs = len(table[[leader, key]].drop_duplicates())
            together = not drawn and pairs == table[key].nunique()
            if pairs == table[leader].nunique() and (_is_choice(leader) or together):
                found[leader].append(key)
                break
        else:
            found[key] = []
    return found


def telling(settings: Sequence[Flat], own: int = 0) -> Facts:
    """Return the settings to show for the method at index `own`: those in which it differs from the defaults.

    Of several methods those in which they differ from one another are shown instead.
    """
    mine = settings[own]
    compared = settings if len(settings) > 1 else [mine, _defaults()]
    return [readable(key, mine[key]) for key in varied(compared) if key in mine and key != METHOD]


def readable(key: str, value: str) -> tuple[str, str]:
    """Return a setting for people: of a `_target_` only the part it chooses and the class."""
    return setting_name(key), value.rpartition(".")[2] if key.endswith("._target_") else value


def setting_name(key: str) -> str:
    """Return the name of a setting for people: the choice of a part has the name of the part."""
    return key.removesuffix("._target_")


def value_labels(key: str, texts: Iterable[str], longest: int | None = None) -> dict[str, str]:
    """Return each value for people: short numbers, and of text with over `longest` characters the end.

    Where two would look alike, all are as they are.
    """
    whole = {text: readable(key, text)[1] for text in texts}
    short = {text: short_number(label) for text, label in whole.items()}
    if longest is not None:
        short = {text: label if len(label) <= longest else f"…{label[1 - longest :]}" for text, label in short.items()}
    return short if len(set(short.values())) == len(short) else whole


def as_number(text: str) -> float | None:
    """Return the finite number that a setting's text is; None for any other text."""
    try:
        return finite(json.loads(text))
    except ValueError:
        return None


def short_number(text: str) -> str:
    """Return a float with at most four significant digits; whole numbers and any other text as they are."""
    value = as_number(text)
    return text if value is None or text.lstrip("-").isdigit() else str(float(f"{value:.4g}"))


def data_set_name(target: str) -> str:
    """Return the name of the data set that a reader reads, such as "tofu" for unlearning.data.tofu.TofuReader."""
    return target.rpartition(".")[2].removesuffix("Reader").lower()


def _is_choice(key: str) -> bool:
    return key == METHOD or key.endswith("._target_")


@cache
def _defaults() -> Flat:
    """Return the defaults; of an objective, a scope and a schedule only the settings that all of them share."""
    bare = UnlearnConfig(
        objective=ObjectiveConfig(), scope=ScopeConfig(), schedule=ScheduleConfig(), trace=TraceConfig()
    )
    return flatten(asdict(bare))
