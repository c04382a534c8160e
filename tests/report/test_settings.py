"""Which settings a method's section shows."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from unlearning.config.objective import GradDiffConfig
from unlearning.config.optimizer import OptimizerConfig
from unlearning.config.schedule import MixedScheduleConfig
from unlearning.config.scope import LoraScopeConfig
from unlearning.config.stopping import StoppingConfig
from unlearning.report.settings import Flat, flatten, short_number, telling, value_labels


def settings(**changes: Any) -> Flat:
    """Of a run with nothing but defaults, and some of its keys changed; "__" stands for the dot."""
    flat = flatten(
        {
            "method": "grad_diff",
            "objective": asdict(GradDiffConfig()),
            "scope": asdict(LoraScopeConfig()),
            "schedule": asdict(MixedScheduleConfig()),
            "ratio": {"retain_per_forget": None},
            "optimizer": asdict(OptimizerConfig()),
            "stopping": asdict(StoppingConfig()),
            "update_scale": 1.0,
        }
    )
    for key, value in changes.items():
        flat[key.replace("__", ".")] = value if isinstance(value, str) else json.dumps(value)
    return flat


def shown(*methods: Flat, own: int = 0) -> list[str]:
    """Return the keys that are shown."""
    return [key for key, _ in telling(methods, own)]


def test_defaults_are_left_out() -> None:
    """But not the choice of a part, nor the part's own numbers; what was switched off is shown."""
    bare = shown(settings())
    assert {"objective", "scope", "scope.rank", "scope.targets", "schedule"} <= set(bare)
    assert not {"method", "optimizer.lr", "optimizer.clip_norm", "update_scale", "schedule.epochs"} & set(bare)
    assert telling([settings()])[0] == ("objective", "GradDiff")
    changed = settings(optimizer__clip_norm=None, objective__averaging="whole_batch")
    assert set(shown(changed)) - set(bare) == {"optimizer.clip_norm", "objective.averaging"}


def test_several_methods_show_where_they_differ() -> None:
    """Both values, though one of them is a default; what neither has changed is left out."""
    first, second = settings(optimizer__weight_decay=0.01), settings(optimizer__lr=0.001)
    assert telling([first, second], 0) == [("optimizer.lr", "1e-05"), ("optimizer.weight_decay", "0.01")]
    assert telling([first, second], 1) == [("optimizer.lr", "0.001"), ("optimizer.weight_decay", "0.0")]
    assert shown({"method": "merge", "density": "0.8"}, settings(), own=0) == ["density"]


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("0.00012480743326331826", "0.0001248"),
        ("-2.718281828", "-2.718"),
        ("1.5e-05", "1.5e-05"),
        ("0.0001", "0.0001"),
        ("1234567", "1234567"),
        ("outputs/1.23456789", "outputs/1.23456789"),
        ("null", "null"),
        ("NaN", "NaN"),
    ],
)
def test_only_long_floats_are_shortened(text: str, short: str) -> None:
    """To 4 significant digits; whole numbers, words and what is short already stay."""
    assert short_number(text) == short


def test_values_that_would_look_alike_are_whole() -> None:
    """0.12341111 and 0.12342222 are both 0.1234 with 4 digits; long text loses its beginning unless two ends agree."""
    assert value_labels("lr", ["0.12345678", "0.5"]) == {"0.12345678": "0.1235", "0.5": "0.5"}
    twins = ["0.12341111", "0.12342222"]
    assert value_labels("lr", twins) == {text: text for text in twins}
    assert value_labels("layers_file", ["outputs/layers.json"], 5) == {"outputs/layers.json": "…json"}
    ends = ["a/layers.json", "b/layers.json"]
    assert value_labels("layers_file", ends, 5) == {text: text for text in ends}
