"""Which settings say something about a run: those that are neither out of force nor what they are for everybody."""

from collections.abc import Sequence
from dataclasses import asdict, fields

from unlearning.config.build import schema_of
from unlearning.config.objective import ObjectiveConfig
from unlearning.config.optimizer import OptimizerConfig
from unlearning.config.prompt import PromptConfig
from unlearning.config.schedule import ScheduleConfig
from unlearning.config.scope import ScopeConfig
from unlearning.config.stopping import StoppingConfig
from unlearning.config.trace import TraceConfig
from unlearning.report.grouping import Flat, differing, flatten, readable

ALWAYS = (
    "objective.retain_weight",
    "optimizer.lr",
    "ratio.retain_per_forget",
    "schedule.batch_rows",
    "schedule.epochs",
    "trace.rule",
    "trace.value",
)
"""Shown even at their defaults: what every run is asked about."""
_OFF = ("null", "false", "0", "0.0", "[]", "")
_ONLY_WITH_DIVERGENCE = ("objective.divergence", "objective.divergence_weight", "objective.renyi_order")

Facts = list[tuple[str, str]]


def telling(settings: Sequence[Flat], own: int = 0) -> Facts:
    """Of the methods' settings those to show for the one at index `own`, for people.

    Several methods: those in which they differ. Left out is what says nothing in any method that has it: a setting out
    of force, or at its default.
    """
    mine = settings[own]
    keys = differing(settings) if len(settings) > 1 else list(mine)
    silent = [_silent(method) for method in settings]
    return [
        readable(key, mine[key])
        for key in keys
        if key in mine
        and key != "method"
        and any(key in method and key not in those for method, those in zip(settings, silent, strict=True))
    ]


def _silent(settings: Flat) -> set[str]:
    """Keys of one run that say nothing: out of force, or at the default of a key that is seldom
    touched."""
    defaults = _defaults(settings)
    return {
        key
        for key, value in settings.items()
        if not _in_force(key, settings) or (key not in ALWAYS and defaults.get(key) == value)
    }


def _in_force(key: str, settings: Flat) -> bool:
    if key.startswith("stopping.") and settings.get("stopping.check_every_steps", "null") == "null":
        return key == "stopping.max_seconds" and settings[key] != "null"
    if key == "schedule.batch_rows" and settings.get("schedule.batch_tokens", "null") != "null":
        return False
    if key in _ONLY_WITH_DIVERGENCE and settings.get("objective.divergence_weight") in _OFF:
        return False
    return key != "objective.renyi_order" or settings.get("objective.divergence") == "renyi"


def _defaults(settings: Flat) -> Flat:
    """Defaults of the keys that may be left out: all of some branches; of the three choices those that they share with
    others of their kind, and the chosen one's own where the default is nothing, no, or none at all."""
    found = flatten(
        {
            "update_scale": 1.0,
            "optimizer": asdict(OptimizerConfig()),
            "prompt": asdict(PromptConfig()),
            "stopping": asdict(StoppingConfig()),
            "trace": asdict(TraceConfig()),
        }
    )
    for branch, base in (("objective", ObjectiveConfig), ("scope", ScopeConfig), ("schedule", ScheduleConfig)):
        chosen = schema_of(base, settings.get(f"{branch}._target_")) or base
        shared = {field.name for field in fields(base)}
        for key, value in flatten(asdict(chosen()), f"{branch}.").items():
            if key.removeprefix(f"{branch}.") in shared or value in _OFF:
                found[key] = value
        found.pop(f"{branch}._target_")
    return found
