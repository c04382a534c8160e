"""From indirect effects to the blocks that may be trained."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from unlearning.config import ModuleKind, SelectionRule, TraceConfig
from unlearning.errors import InputError
from unlearning.mediation.effects import Effects, indirect_effects
from unlearning.mediation.result import METRICS, Metric, TraceResult

DECIDING_METRIC = Metric.LOG_PROBABILITY
"""What the rules read. Not the first token's probability: all social security numbers begin alike, so that
corrupting the name hardly moves it."""
ROUNDING = 1e-12
"""Relative; the sum of all effects must count as all of the effect."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen blocks, and what they were chosen by."""

    blocks: tuple[int, ...]
    """Ascending, counted from 0."""
    module: ModuleKind
    """The kind of part whose effects were read."""
    rule: SelectionRule
    value: float
    blocks_total: int
    window: int
    metric: Metric
    effects: tuple[Effects, ...]
    """One for each metric, every traced kind in each."""

    @property
    def share_of_depth(self) -> float:
        """Chosen blocks over all blocks, in (0, 1]; what can be carried over to a model of another depth."""
        return len(self.blocks) / self.blocks_total


def select(result: TraceResult, config: TraceConfig) -> Selection:
    """Choose blocks by config.rule, from the effects of config.select.

    Raises:
        InputError: no fact was traced; or the rule reads effects and none is above zero.
    """
    effects = tuple(indirect_effects(result, metric) for metric in METRICS)
    deciding = next(item for item in effects if item.metric is DECIDING_METRIC)
    blocks = choose(deciding.of(config.select).mean, config)
    return Selection(
        blocks=blocks,
        module=config.select,
        rule=config.rule,
        value=config.value,
        blocks_total=result.depth,
        window=config.window,
        metric=DECIDING_METRIC,
        effects=effects,
    )


def choose(effects: Sequence[float], config: TraceConfig) -> tuple[int, ...]:
    """The blocks that config.rule chooses, given each block's effect.

    Raises:
        InputError: the rule reads effects and none is above zero.
    """
    depth = len(effects)
    count = max(1, int(config.value * depth + 0.5))
    if config.rule is SelectionRule.first:
        return tuple(range(count))
    if config.rule is SelectionRule.last:
        return tuple(range(depth - count, depth))
    if config.rule is SelectionRule.random:
        drawn = np.random.default_rng(config.seed).choice(depth, size=count, replace=False)
        return tuple(sorted(int(block) for block in drawn))
    if max(effects) <= 0:
        raise InputError(
            f"trace.rule={config.rule}: no block's {config.select} has a positive effect; raise trace.facts or "
            "trace.noise_std, or choose trace.rule=first, last or random, which need no effect"
        )
    return RULES[config.rule](effects, config.value)


def threshold(effects: Sequence[float], value: float) -> tuple[int, ...]:
    """Blocks whose effect is at least value times the largest."""
    bound = value * max(effects)
    return tuple(block for block, effect in enumerate(effects) if effect >= bound)


def coverage(effects: Sequence[float], value: float) -> tuple[int, ...]:
    """The shortest run of blocks with at least `value` of the sum of max(effect, 0).

    Of several as short, the one with the largest sum; of those, the lowest.
    """
    positive = [max(effect, 0.0) for effect in effects]
    bound = value * sum(positive) * (1 - ROUNDING)
    for length in range(1, len(positive) + 1):
        sums = [sum(positive[start : start + length]) for start in range(len(positive) - length + 1)]
        if max(sums) >= bound:
            start = sums.index(max(sums))
            return tuple(range(start, start + length))
    return tuple(range(len(positive)))


def top_share(effects: Sequence[float], value: float) -> tuple[int, ...]:
    """The round(value * depth) blocks of largest effect (halves up, one at least); of equal ones the lower."""
    count = max(1, int(value * len(effects) + 0.5))
    ranked = sorted(range(len(effects)), key=lambda block: (-effects[block], block))
    return tuple(sorted(ranked[:count]))


RULES: dict[SelectionRule, Callable[[Sequence[float], float], tuple[int, ...]]] = {
    SelectionRule.threshold: threshold,
    SelectionRule.coverage: coverage,
    SelectionRule.top_share: top_share,
}
"""The rules that read effects."""
