"""What a reader must know before trusting a choice of layers, one line each."""

from collections.abc import Iterator

from unlearning.config import ModuleKind, TraceConfig
from unlearning.mediation.fact_effects import FactEffects
from unlearning.mediation.rules import FALLBACK_SHARE, Choice
from unlearning.mediation.states import Restoration, deciding_restoration

STABLE = 0.6
FEWEST_PERSONS = 10
RIVALS = {ModuleKind.mlp: ModuleKind.attention, ModuleKind.attention: ModuleKind.mlp}


def caveats(
    choice: Choice, alone: Choice, facts: FactEffects, restorations: tuple[Restoration, ...], config: TraceConfig
) -> Iterator[str]:
    """Reasons for doubt; `alone` is what the same rule chooses by the effects of single modules."""
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
    yield from _rival(choice, facts, restorations, deciding_restoration(config))


def _rival(
    choice: Choice, facts: FactEffects, restorations: tuple[Restoration, ...], chosen: Restoration
) -> Iterator[str]:
    """Whether the other kind of module matters as much in the chosen layers, where it was traced in the same way."""
    if chosen.kind not in RIVALS:
        return
    rival = Restoration(RIVALS[chosen.kind], chosen.window)
    if rival not in restorations:
        return
    own, other = (facts.effect[:, restorations.index(item)][:, choice.layers] for item in (chosen, rival))
    gap = facts.bootstrap.means((own - other).mean(1)).interval()
    if gap.low > 0:
        return
    advice = f"train both, or {rival.kind} alone" if gap.high < 0 else "train both"
    yield (
        f"{chosen.kind} minus {rival.kind} in the chosen layers: {gap.mean:.3g} nats, 95% interval {gap.low:.3g} to "
        f"{gap.high:.3g}: {advice}"
    )
