"""Warnings about a choice of layers: reasons why it may be wrong or may not hold for other persons."""

from collections.abc import Iterator

from unlearning.config.scope import ModuleKind
from unlearning.config.trace import TraceConfig
from unlearning.mediation.fact_effects import FactEffects
from unlearning.mediation.rules import FALLBACK_SHARE, LayerChoice
from unlearning.mediation.states import Restoration, deciding_restoration

STABLE = 0.6
"""A choice of lower stability gets a warning."""
FEWEST_PERSONS = 10
OTHER_KIND = {ModuleKind.mlp: ModuleKind.attention, ModuleKind.attention: ModuleKind.mlp}


def selection_warnings(
    choice: LayerChoice,
    alone: LayerChoice,
    facts: FactEffects,
    restorations: tuple[Restoration, ...],
    config: TraceConfig,
) -> Iterator[str]:
    """Yield one line for each reason for doubt; `alone` is what the rule chooses by the effects of single modules."""
    total = facts.bootstrap.means(facts.total).interval()
    if total.low <= 0 <= total.high:
        yield (
            f"total effect {total.mean:.3g} nats, 95% interval {total.low:.3g} to {total.high:.3g}: the corruption may "
            "cost nothing, and then there is nothing to locate"
        )
    if facts.persons < FEWEST_PERSONS:
        yield f"{facts.persons} persons traced: with fewer than {FEWEST_PERSONS}, intervals are too narrow"
    if choice.fell_back:
        null = "the median layer" if facts.placebo is None else "the median layer and the placebo"
        yield (
            f"no layer is above {null} with confidence {config.value}: the "
            f"{FALLBACK_SHARE} of the depth with the largest effects was taken"
        )
    if choice.stability < STABLE:
        yield f"stability {choice.stability:.2f}, below {STABLE}: other persons may give others; raise trace.facts"
    if choice.layers != alone.layers:
        single = ", ".join(map(str, alone.layers)) or "none"
        yield f"window {config.window}: by the effects of single modules the layers would be {single}"
    yield from _other_kind(choice, facts, restorations, deciding_restoration(config))


def _other_kind(
    choice: LayerChoice, facts: FactEffects, restorations: tuple[Restoration, ...], chosen: Restoration
) -> Iterator[str]:
    """Yield a line where the other kind of module matters as much in the chosen layers, if it was traced alike."""
    if chosen.kind not in OTHER_KIND:
        return
    other = Restoration(OTHER_KIND[chosen.kind], chosen.window)
    if other not in restorations:
        return
    own, others = (facts.effect[:, restorations.index(item)][:, choice.layers] for item in (chosen, other))
    gap = facts.bootstrap.means((own - others).mean(1)).interval()
    if gap.low > 0:
        return
    advice = f"train both, or {other.kind} alone" if gap.high < 0 else "train both"
    yield (
        f"{chosen.kind} minus {other.kind} in the chosen layers: {gap.mean:.3g} nats, 95% interval {gap.low:.3g} to "
        f"{gap.high:.3g}: {advice}"
    )
