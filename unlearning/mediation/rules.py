"""Rules from layers' effects to layers. Those that read effects take many rows of them at once: (B, L) to (B, L)."""

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
"""Of the depth; what is taken where no layer is above the others and the placebo with confidence."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Choice:
    """Layers that a rule chose, and what it chooses in each resample."""

    chosen: Mask
    """(L,); none where no layer's effect is positive."""
    resampled: Mask
    """(RESAMPLES, L)"""
    fell_back: bool = False
    """Whether the confidence rule chose nothing and the layers of largest effect were taken."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Ascending."""
        return tuple(int(layer) for layer in np.flatnonzero(self.chosen))

    @property
    def stability(self) -> float:
        """Median over resamples of the Jaccard index of what is chosen there and here; needs a chosen layer."""
        both = (self.resampled & self.chosen).sum(1)
        return float(np.median(both / (self.resampled | self.chosen).sum(1)))


def by_effects(rule: SelectionRule, value: float, effect: BootstrapMean, above_placebo: BootstrapMean | None) -> Choice:
    """What a rule that reads effects (L,) chooses; where confidence chooses nothing, the top quarter of the depth."""
    if rule is SelectionRule.confidence:
        choice = confident(effect, above_placebo, value)
        if choice.chosen.any():
            return choice
    read, share = (RULES[rule], value) if rule in RULES else (top_share, FALLBACK_SHARE)
    return Choice(
        read(effect.mean[None], share)[0] & (effect.mean.max() > 0),
        read(effect.resampled, share) & (effect.resampled.max(1, keepdims=True) > 0),
        fell_back=rule not in RULES,
    )


def confident(effect: BootstrapMean, above_placebo: BootstrapMean | None, confidence: float) -> Choice:
    """Layers of positive effect that lies above the median layer's and, if there is one, above the placebo's.

    Each contrast must be above 0 by its one-sided lower bound for all layers at once (`BootstrapMean.margin`).
    Resamples are held to the same margin: whether the choice would be made again.
    """
    contrasts = [_above_median(effect)] + ([above_placebo] if above_placebo else [])
    chosen, resampled = effect.mean > 0, effect.resampled > 0
    for contrast in contrasts:
        margin = contrast.margin(confidence)
        chosen &= contrast.mean > margin
        resampled &= contrast.resampled > margin
    return Choice(chosen, resampled)


def threshold(effects: Values, value: float) -> Mask:
    """Layers whose effect is at least value times the largest."""
    chosen: Mask = effects >= value * effects.max(1, keepdims=True)
    return chosen


def coverage(effects: Values, value: float) -> Mask:
    """The shortest run of layers with at least `value` of the sum of max(effect, 0).

    Of several as short, the one with the largest sum; of those, the lowest.
    """
    rows, depth = effects.shape
    sums = np.concatenate([np.zeros((rows, 1)), np.maximum(effects, 0).cumsum(1)], axis=1)
    total = sums[:, -1:]
    slack = ROUNDING * total  # sums that rounding alone sets apart are equal
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
    """The round(value * depth) layers of largest effect; of equal ones the lower."""
    ranked = (-effects).argsort(1, kind="stable")[:, : share_count(value, effects.shape[1])]
    chosen = np.zeros(effects.shape, dtype=bool)
    np.put_along_axis(chosen, ranked, True, axis=1)
    return chosen


RULES: dict[SelectionRule, Callable[[Values, float], Mask]] = {
    SelectionRule.threshold: threshold,
    SelectionRule.coverage: coverage,
    SelectionRule.top_share: top_share,
}
"""The rules that read mean effects alone."""
READS_EFFECTS = (SelectionRule.confidence, *RULES)
READS_GRADIENTS = (SelectionRule.gradient, SelectionRule.fisher)


def share_count(value: float, depth: int) -> int:
    """A share of the layers in whole layers: round(value * depth), halves up, one at least."""
    return max(1, int(value * depth + 0.5))


def baseline(
    rule: SelectionRule, count: int, depth: int, seed: int, gradients: LayerGradients | None
) -> tuple[int, ...]:
    """`count` of the layers by a rule that reads no effects; the middle ones leave the odd rest above them.

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
    """Effect minus the median layer's, of the same resample."""
    medians = np.median(effect.resampled, axis=1, keepdims=True)
    return BootstrapMean(effect.mean - np.median(effect.mean), effect.resampled - medians, effect.freedom)
