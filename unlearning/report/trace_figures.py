"""The figures of causal tracing, with what a reader must know to read them."""

from functools import partial
from pathlib import Path

from unlearning.config.trace import Direction, TraceMode
from unlearning.mediation.result import FactTrace, TraceResult
from unlearning.report.details import Tracing, load_tracing
from unlearning.report.effect_figures import choices, draw_effects, draw_selection, draw_severed
from unlearning.report.heat_maps import draw_fact, draw_groups, fact_size, groups_of, groups_size
from unlearning.report.style import Picture, picture, write_pictures

PLOTS = "plots"
WIDTH = 10.0


def write_trace_plots(result: TraceResult, run_dir: Path, facts: int = 4) -> list[Path]:
    """plots/trace_*.png: those of `trace_pictures`, and a heat map of each of the first `facts` facts.

    A fact has one only where more than one site was patched. Returns the paths.

    Raises:
        InputError: layers.json is not there yet.
    """
    tracing = load_tracing(run_dir)
    pictures = trace_pictures(tracing)
    for number, trace in enumerate(result.traces[:facts], start=1):
        if len(trace.sites) > 1:
            pictures.append(_fact(number, trace, result, tracing))
    return write_pictures(run_dir / PLOTS, pictures)


def trace_pictures(tracing: Tracing, prefix: str = "") -> list[Picture]:
    """Those that layers.json has the numbers for. `prefix` keeps the figures of one page apart."""
    found = [_effects(tracing, prefix)]
    if tracing.effects.severed_gaps:
        found.append(_severed(tracing, prefix))
    if len(groups_of(tracing)) > 1:
        found.append(_groups(tracing, prefix))
    return [*found, _selection(tracing, prefix)]


def _effects(tracing: Tracing, prefix: str) -> Picture:
    caption = f"{_meaning(tracing)} The higher above 0 and above the grey placebo, the more of the answer the part "
    caption += "carries; where even the lighter band is above 0, that holds for all such layers at once."
    draw = partial(draw_effects, tracing=tracing)
    return picture(f"{prefix}trace_effects", "Indirect effect, layer by layer", caption, (WIDTH, 3.3), draw)


def _severed(tracing: Tracing, prefix: str) -> Picture:
    caption = "With a path severed, a layer's patched output can reach the answer only around the parts named; what "
    caption += "that takes away, on the right, is the effect that travels through them."
    draw = partial(draw_severed, tracing=tracing)
    return picture(f"{prefix}trace_severed", "Severed paths", caption, (WIDTH, 3.0), draw)


def _groups(tracing: Tracing, prefix: str) -> Picture:
    caption = "Each cell is the mean indirect effect of these tokens' states at one layer: red speaks for the answer, "
    caption += "blue against it; a dot marks a 95% interval that excludes 0."
    draw = partial(draw_groups, tracing=tracing)
    return picture(f"{prefix}trace_groups", "Which tokens carry it", caption, groups_size(tracing), draw)


def _selection(tracing: Tracing, prefix: str) -> Picture:
    caption = "Bars: the share of resamples of the persons in which the rule chooses the layer; near 1 or 0 the choice "
    caption += "is sure. Below: the chosen layers, and as many chosen by rules that read no effects."
    size = (WIDTH, 1.9 + 0.26 * len(choices(tracing.selection)))
    draw = partial(draw_selection, selection=tracing.selection)
    return picture(f"{prefix}trace_selection", "The choice of layers", caption, size, draw)


def _fact(number: int, trace: FactTrace, result: TraceResult, tracing: Tracing) -> Picture:
    draw = partial(draw_fact, trace=trace, result=result, metric=tracing.selection.metric)
    return picture(f"trace_fact_{number}", f"Fact {number}", "", fact_size(trace), draw)


def _meaning(tracing: Tracing) -> str:
    """What an indirect effect is here."""
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
