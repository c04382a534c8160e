"""Which settings say something about a run: those in which methods differ, or that are not at their defaults."""

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
"""Settings that are shown even at their defaults."""
_OFF = ("null", "false", "0", "0.0", "[]", "")

Facts = list[tuple[str, str]]


def telling(settings: Sequence[Flat], own: int = 0) -> Facts:
    """Return the settings to show for the method at index `own`: of several methods those in which they differ.

    A setting that is at its default in every method that has it is left out.
    """
    mine = settings[own]
    keys = differing(settings) if len(settings) > 1 else list(mine)
    defaults = [_defaults(method) for method in settings]
    return [
        readable(key, mine[key])
        for key in keys
        if key in mine
        and key != "method"
        and any(
            key in method and (key in ALWAYS or method[key] != default.get(key))
            for method, default in zip(settings, defaults, strict=True)
        )
    ]


def _defaults(settings: Flat) -> Flat:
    """Return the defaults of the keys that may be left out.

    Of an objective, a scope and a schedule these are the settings that all of them share, and those that are off.
    """
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
        shared = {f"{branch}.{field.name}" for field in fields(base)}
        own = flatten(asdict(chosen()), f"{branch}.")
        found |= {key: value for key, value in own.items() if key in shared or value in _OFF}
        found.pop(f"{branch}._target_")
    return found
