"""The choice of the layers that may be trained, by their indirect effects, and how sure that choice is."""

from dataclasses import dataclass

import numpy as np

from unlearning.bootstrap import RESAMPLES
from unlearning.config.scope import ModuleKind
from unlearning.config.trace import Corruption, SelectionRule, TraceConfig, TraceMode
from unlearning.errors import InputError
from unlearning.mediation.effects import Effects, indirect_effects
from unlearning.mediation.fact_effects import FactEffects, fact_effects
from unlearning.mediation.person_bootstrap import floats
from unlearning.mediation.result import METRICS, LayerGradients, Metric, TraceResult
from unlearning.mediation.rules import (
    FALLBACK_SHARE,
    READS_EFFECTS,
    READS_GRADIENTS,
    LayerChoice,
    baseline,
    by_effects,
    share_count,
)
from unlearning.mediation.selection_warnings import selection_warnings
from unlearning.mediation.states import Restoration, deciding_restoration

DECIDING_METRIC = Metric.ANSWER_LOG_PROBABILITY
"""The metric whose effects the rules read. It is not that of the answer's first token: all social security numbers
begin alike, so that corrupting the name hardly changes it. It is not a probability: layers add up logits, and a
probability is an exponential of those."""
BASELINES = (SelectionRule.random, SelectionRule.first, SelectionRule.middle, SelectionRule.last)


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen layers, and what they were chosen by."""

    layers: tuple[int, ...]
    """Ascending, counted from 0."""
    layers_window_1: tuple[int, ...]
    """The layers that the same rule chooses by the effects of single modules; equal to `layers` without a window."""
    module: ModuleKind
    """The kind of part whose effects were read."""
    rule: SelectionRule
    value: float
    layers_total: int
    window: int
    metric: Metric
    inclusion: tuple[float, ...]
    """Share of the resamples in which the rule chooses each layer; 0 or 1 for rules that read no effects."""
    stability: float
    """Median over resamples of the Jaccard index of the layers chosen there and `layers`, in [0, 1]."""
    baselines: dict[str, tuple[int, ...]]
    """As many layers as in `layers`, chosen by rules that read no effects."""
    warnings: tuple[str, ...]
    """What a reader must know before trusting the choice, one line each."""
    effects: tuple[Effects, ...]
    """For each metric that has numbers, the effects of every restoration."""

    @property
    def share_of_depth(self) -> float:
        """Chosen layers divided by all layers, in (0, 1]; this can be applied to a model of another depth."""
        return len(self.layers) / self.layers_total


def select(result: TraceResult, config: TraceConfig, gradients: LayerGradients | None) -> Selection:
    """Choose layers by config.rule, by the effects of `deciding_restoration`.

    Raises:
        InputError: no fact was traced; the rule reads effects and none is above zero; or it reads gradients and there
            are none.
    """
    facts = fact_effects(result, DECIDING_METRIC)
    if facts is None:
        raise InputError("tracing: no fact was traced, so there are no effects")
    restoration = deciding_restoration(config)
    choice = _choose(result, facts, restoration, config, gradients)
    alone = _choose(result, facts, Restoration(config.select), config, gradients)
    if not choice.chosen.any():
        more = ", or a larger trace.facts" if result.counts.not_needed else ""
        raise InputError(
            f"trace.rule={config.rule}: no layer's {config.select} has a positive effect; choose trace.rule=first, "
            f"middle, last or random, which need no effect, with trace.value={FALLBACK_SHARE}, the share of the layers"
            f"{more}{or_stronger_noise(config)}"
        )
    rules = BASELINES if gradients is None else (*BASELINES, *READS_GRADIENTS)
    count = len(choice.layers)
    return Selection(
        layers=choice.layers,
        layers_window_1=alone.layers,
        module=config.select,
        rule=config.rule,
        value=config.value,
        layers_total=result.depth,
        window=restoration.window,
        metric=DECIDING_METRIC,
        inclusion=floats(choice.resampled.mean(0)),
        stability=choice.stability,
        baselines={str(rule): baseline(rule, count, result.depth, config.seed, gradients) for rule in rules},
        warnings=tuple(selection_warnings(choice, alone, facts, result.restorations, config)),
        effects=tuple(found for metric in METRICS if (found := indirect_effects(result, metric))),
    )


def or_stronger_noise(config: TraceConfig) -> str:
    """Return an advice that ends a message where the effects are too small; empty where there is no noise."""
    noisy = config.corruption is Corruption.noise and config.mode is not TraceMode.weights
    return f", or trace.noise_std above {config.noise_std:g}" if noisy else ""


def _choose(
    result: TraceResult,
    facts: FactEffects,
    restoration: Restoration,
    config: TraceConfig,
    gradients: LayerGradients | None,
) -> LayerChoice:
    """Return what config.rule chooses, by the effects of one restoration if the rule reads effects."""
    if config.rule not in READS_EFFECTS:
        count = share_count(config.value, result.depth)
        chosen = np.isin(np.arange(result.depth), baseline(config.rule, count, result.depth, config.seed, gradients))
        return LayerChoice(chosen, np.tile(chosen, (RESAMPLES, 1)))
    place = result.restorations.index(restoration)
    effect = facts.bootstrap.means(facts.effect[:, place])
    above = None
    if facts.placebo is not None:
        above = facts.bootstrap.means(facts.effect[:, place] - facts.placebo[:, place])
    return by_effects(config.rule, config.value, effect, above)
