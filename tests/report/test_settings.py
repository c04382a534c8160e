"""Which settings a method's section shows."""

import json
from dataclasses import asdict
from typing import Any

from unlearning.config.objective import GradDiffConfig
from unlearning.config.optimizer import OptimizerConfig
from unlearning.config.schedule import MixedScheduleConfig
from unlearning.config.scope import LoraScopeConfig
from unlearning.config.stopping import StoppingConfig
from unlearning.report.grouping import Flat, flatten
from unlearning.report.settings import telling


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


BARE = [
    "objective",
    "objective.retain_weight",
    "objective.forget_weight",
    "scope",
    "scope.rank",
    "scope.alpha",
    "scope.targets",
    "scope.layers",
    "schedule",
    "schedule.epochs",
    "schedule.batch_rows",
    "ratio.retain_per_forget",
    "optimizer.lr",
]
"""What is shown where all is at its default: the choices, their own numbers, what every run is asked about."""


def shown(*methods: Flat, own: int = 0) -> list[str]:
    """Return the keys that are shown."""
    return [key for key, _ in telling(methods, own)]


def test_defaults_are_left_out() -> None:
    """But for those that every run is asked about and for the chosen parts' own numbers."""
    assert shown(settings()) == BARE
    assert telling([settings()])[0] == ("objective", "GradDiff")


def test_a_setting_that_was_changed_is_shown() -> None:
    """A setting that was switched off is shown too."""
    changed = settings(optimizer__clip_norm=None, objective__averaging="whole_batch", scope__dora=True)
    assert set(shown(changed)) - set(BARE) == {"optimizer.clip_norm", "objective.averaging", "scope.dora"}


def test_several_methods_show_where_they_differ() -> None:
    """Both values, though one of them is a default; what neither has changed is left out."""
    first, second = settings(optimizer__weight_decay=0.01), settings(optimizer__lr=0.001)
    assert telling([first, second], 0) == [("optimizer.lr", "1e-05"), ("optimizer.weight_decay", "0.01")]
    assert telling([first, second], 1) == [("optimizer.lr", "0.001"), ("optimizer.weight_decay", "0.0")]
    merged = {"method": "merge", "density": "0.8"}
    assert shown(merged, settings(), own=0) == ["density"]
    assert shown(merged, settings(), own=1) == sorted(
        BARE, key=lambda key: f"{key}._target_" if "." not in key else key
    )


def test_a_part_that_is_not_known_is_shown_whole() -> None:
    """Its own settings are shown, those that all of its kind share are not."""
    foreign = settings(objective___target_="somebody.Else", objective__own=0)
    assert "objective.own" in shown(foreign)
    assert "objective.reduction" not in shown(foreign)
