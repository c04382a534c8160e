"""The rules that choose layers.

Most rules read the layers' effects. They choose in many resamples at once, from effects (B, L) to chosen layers (B, L).
The others are baselines, which read gradients or nothing at all.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unlearning.bootstrap import Values
from unlearning.config.trace import SelectionRule
from unlearning.errors import InputError
from unlearning.mediation.person_bootstrap import ROUNDING, BootstrapMean
from unlearning.mediation.result import LayerGradients

FALLBACK_SHARE = 0.25
"""Share of the depth that is chosen where the confidence rule finds no layer."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class LayerChoice:
    """The layers that a rule chose, and those that it chooses in each resample."""

    chosen: Mask
    """(L,): whether the layer is chosen; no layer is where none has a positive effect."""
    resampled: Mask
    """(RESAMPLES, L)"""
    fell_back: bool = False
    """Whether the confidence rule chose nothing, so that the layers of largest effect were taken."""

    @property
    def layers(self) -> tuple[int, ...]:
        """The chosen layers, ascending."""
        return tuple(int(layer) for layer in np.flatnonzero(self.chosen))

    @property
    def stability(self) -> float:
        """Median over resamples of the Jaccard index of the layers chosen there and here, if any layer is chosen."""
        both = (self.resampled & self.chosen).sum(1)
        return float(np.median(both / (self.resampled | self.chosen).sum(1)))


def by_effects(
    rule: SelectionRule, value: float, effect: BootstrapMean, above_placebo: BootstrapMean | None
) -> LayerChoice:
    """Return what a rule chooses by effects (L,).

    Where the confidence rule finds no layer, it is the quarter of the depth with the largest effects.
    """
    if rule is SelectionRule.confidence:
        choice = confident(effect, above_placebo, value)
        if choice.chosen.any():
            return choice
    read, share = (RULES[rule], value) if rule in RULES else (top_share, FALLBACK_SHARE)
    return LayerChoice(
        read(effect.mean[None], share)[0] & (effect.mean.max() > 0),
        read(effect.resampled, share) & (effect.resampled.max(1, keepdims=True) > 0),
        fell_back=rule not in RULES,
    )


def confident(effect: BootstrapMean, above_placebo: BootstrapMean | None, confidence: float) -> LayerChoice:
    """Choose the layers whose effect is positive, above the median layer's and above the placebo's, if there is one.

    Effect minus median and effect minus placebo must each be above 0 by a one-sided lower bound that holds for all
    layers at once (`BootstrapMean.margin`). The same margin is used in each resample, to see whether the choice would
    be made again.
    """
    contrasts = [_above_median(effect)] + ([above_placebo] if above_placebo else [])
    chosen, resampled = effect.mean > 0, effect.resampled > 0
    for contrast in contrasts:
        margin = contrast.margin(confidence)
        chosen &= contrast.mean > margin
        resampled &= contrast.resampled > margin
    return LayerChoice(chosen, resampled)


def threshold(effects: Values, value: float) -> Mask:
    """Choose the layers whose effect is at least `value` times the largest."""
    chosen: Mask = effects >= value * effects.max(1, keepdims=True)
    return chosen


def coverage(effects: Values, value: float) -> Mask:
    """Choose the shortest range of layers with at least `value` of the sum of max(effect, 0).

    Of several equally short ranges it is the one with the largest sum, and of those the lowest.
    """
    rows, depth = effects.shape
    sums = np.concatenate([np.zeros((rows, 1)), np.maximum(effects, 0).cumsum(1)], axis=1)
    total = sums[:, -1:]
    slack = ROUNDING * total  # sums that differ by rounding alone count as equal
    starts, lengths = np.zeros(rows, dtype=int), np.full(rows, depth)
    for length in range(depth, 0, -1):
        runs = sums[:, length:] - sums[:, :-length]
        largest = runs.max(1, keepdims=True)
        enough = (largest >= value * total - slack)[:, 0]
        starts[enough] = (runs >= largest - slack).argmax(1)[enough]
        lengths[enough] = length
    layers = np.arange(depth)
    chosen: Mask = (layers >= starts[:, None]) & (layers < (starts + lengths)[:, None])
    return chosen


def top_share(effects: Values, value: float) -> Mask:
    """Choose the round(value * depth) layers of largest effect; of equal ones the lower."""
    ranked = (-effects).argsort(1, kind="stable")[:, : share_count(value, effects.shape[1])]
    chosen = np.zeros(effects.shape, dtype=bool)
    np.put_along_axis(chosen, ranked, True, axis=1)
    return chosen


RULES: dict[SelectionRule, Callable[[Values, float], Mask]] = {
    SelectionRule.threshold: threshold,
    SelectionRule.coverage: coverage,
    SelectionRule.top_share: top_share,
}
"""The rules that read mean effects and nothing else."""
READS_EFFECTS = (SelectionRule.confidence, *RULES)
READS_GRADIENTS = (SelectionRule.gradient, SelectionRule.fisher)


def share_count(value: float, depth: int) -> int:
    """Return a share of the layers as a number of layers: round(value * depth), halves up, at least one."""
    return max(1, int(value * depth + 0.5))


def baseline(
    rule: SelectionRule, count: int, depth: int, seed: int, gradients: LayerGradients | None
) -> tuple[int, ...]:
    """Return `count` layers by a rule that reads no effects.

    Where the middle layers cannot lie exactly in the middle, one more layer is left above them than below.

    Raises:
        InputError: the rule reads gradients, and there are none.
    """
    if rule in READS_GRADIENTS:
        if gradients is None:
            raise InputError(f"trace.rule={rule}: there are no gradients; the data must have retain rows")
        scores = gradients.gradient if rule is SelectionRule.gradient else gradients.fisher
        return tuple(sorted(sorted(range(depth), key=lambda layer: (-scores[layer], layer))[:count]))
    if rule is SelectionRule.random:
        drawn = np.random.default_rng(seed).choice(depth, size=count, replace=False)
        return tuple(sorted(int(layer) for layer in drawn))
    start = {SelectionRule.first: 0, SelectionRule.middle: (depth - count) // 2, SelectionRule.last: depth - count}
    return tuple(range(start[rule], start[rule] + count))


def _above_median(effect: BootstrapMean) -> BootstrapMean:
    """Return the effect minus the median layer's, in each resample too."""
    medians = np.median(effect.resampled, axis=1, keepdims=True)
    return BootstrapMean(effect.mean - np.median(effect.mean), effect.resampled - medians, effect.freedom)
