"""The figures of causal tracing, with what a reader must know to read them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from unlearning.config.trace import Direction, TraceMode
from unlearning.mediation.result import TraceResult
from unlearning.report.details import Tracing, load_tracing
from unlearning.report.effect_figures import choices, draw_effects, draw_selection, draw_severed
from unlearning.report.heat_maps import draw_fact, draw_groups, fact_size, groups_of, groups_size
from unlearning.report.style import Picture, picture, write_pictures

PLOTS = "plots"
WIDTH = 10.0
Drawn = tuple[str, str, str, tuple[float, float], Callable[[Any], None]]
"""Name, title, caption, inches, and what draws it."""
EFFECTS = (
    "The higher above 0 and above the grey placebo, the more of the answer the part carries; where even the lighter "
    "band is above 0, that holds for all such layers at once."
)
SEVERED = (
    "With a path severed, a layer's patched output can reach the answer only around the parts named; what that takes "
    "away, on the right, is the effect that travels through them."
)
TOKENS = (
    "Each cell is the mean indirect effect of these tokens' states at one layer: red speaks for the answer, blue "
    "against it; a dot marks a 95% interval that excludes 0."
)
CHOICE = (
    "Bars: the share of resamples of the persons in which the rule chooses the layer; near 1 or 0 the choice is sure. "
    "Below: the chosen layers, and as many chosen by rules that read no effects."
)


def write_trace_plots(result: TraceResult, run_dir: Path, facts: int = 4) -> list[Path]:
    """Write plots/trace_*.png: those of `trace_pictures`, and a heat map of each of the first `facts` facts.

    A fact has a heat map only where more than one site was patched. Returns the paths.
    Raises InputError where layers.json is not there yet.
    """
    tracing = load_tracing(run_dir)
    pictures = trace_pictures(tracing)
    for number, trace in enumerate(result.traces[:facts], start=1):
        if len(trace.sites) > 1:
            draw = partial(draw_fact, trace=trace, result=result, metric=tracing.selection.metric)
            pictures.append(picture(f"trace_fact_{number}", f"Fact {number}", "", fact_size(trace), draw))
    return write_pictures(run_dir / PLOTS, pictures)


def trace_pictures(tracing: Tracing, prefix: str = "") -> list[Picture]:
    """Return the figures that layers.json has the numbers for. `prefix` keeps the figures of one page apart."""
    height = 1.9 + 0.26 * len(choices(tracing.selection))
    drawn: list[Drawn] = [
        (
            "effects",
            "Indirect effect, layer by layer",
            f"{_meaning(tracing)} {EFFECTS}",
            (WIDTH, 3.3),
            partial(draw_effects, tracing=tracing),
        )
    ]
    if tracing.effects.severed_gaps:
        drawn.append(("severed", "Severed paths", SEVERED, (WIDTH, 3.0), partial(draw_severed, tracing=tracing)))
    if len(groups_of(tracing)) > 1:
        draw = partial(draw_groups, tracing=tracing)
        drawn.append(("groups", "Which tokens carry it", TOKENS, groups_size(tracing), draw))
    draw = partial(draw_selection, selection=tracing.selection)
    drawn.append(("selection", "The choice of layers", CHOICE, (WIDTH, height), draw))
    return [picture(f"{prefix}trace_{name}", title, caption, size, draw) for name, title, caption, size, draw in drawn]


def _meaning(tracing: Tracing) -> str:
    """Return what an indirect effect is here."""
    estimated = " Estimates to first order, not measured." if tracing.mode is TraceMode.screen else ""
    lost = tracing.direction is Direction.noising
    if tracing.mode is TraceMode.weights:
        runs = ("the traced model", "its base model") if lost else ("the base model", "the traced model")
        state = "the weights it has in"
    else:
        runs = ("the clean run", "the corrupted run") if lost else ("the corrupted run", "the clean run")
        state = "the state it has in"
    verb = "is lost" if lost else "comes back"
    return f"How much of the answer {verb} when one part of {runs[0]} gets {state} {runs[1]}.{estimated}"
