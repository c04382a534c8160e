"""What the page says about causal tracing: what was found, how sure it is, figures, numbers."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unlearning.config.trace import Corruption, TraceMode
from unlearning.mediation.person_bootstrap import EffectCurve
from unlearning.report.details import Tracing
from unlearning.report.effect_figures import UNITS, choices
from unlearning.report.heat_maps import GROUPS, group_effects, groups_of
from unlearning.report.style import Picture
from unlearning.report.trace_figures import PLOTS, trace_pictures

REASONS = {
    "unknown": "not known to the model",
    "without_foil": "without another person's name to put in",
    "unmoved": "not moved by the corruption",
    "left_over": "not looked at",
}


@dataclass(frozen=True)
class Baseline:
    """What another rule chooses."""

    name: str
    layers: str
    shared: int
    """Of its layers those that were chosen too."""


@dataclass(frozen=True)
class Numbers:
    """A table: a line a layer, a column a curve; each cell a mean and its interval."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[str, str], ...], ...]


@dataclass(frozen=True)
class TraceView:
    """The tracing section of a page."""

    finding: str
    facts: list[tuple[str, str]]
    warnings: tuple[str, ...]
    pictures: list[Picture]
    baselines: list[Baseline]
    numbers: list[Numbers]
    images: list[str]
    """Heat maps of single facts as data: URLs."""


def trace_view(tracing: Tracing, run_dir: Path, prefix: str = "") -> TraceView:
    """From layers.json and the single facts' pictures in plots/. `prefix` keeps the figures of one page apart."""
    selection = tracing.selection
    return TraceView(
        finding=finding(tracing),
        facts=list(_facts(tracing)),
        warnings=selection.warnings,
        pictures=trace_pictures(tracing, prefix),
        baselines=[
            Baseline(name, _listed(layers), len(set(layers) & set(selection.layers)))
            for name, layers in choices(selection).items()
        ],
        numbers=list(_numbers(tracing)),
        images=[_data_url(path) for path in _fact_images(run_dir)],
    )


def finding(tracing: Tracing) -> str:
    """The choice in one sentence."""
    selection = tracing.selection
    noun = "layer" if len(selection.layers) == 1 else "layers"
    what = f"the {selection.module} of {noun} {_listed(selection.layers)} of {selection.layers_total}"
    share = tracing.shares.get(selection.module)
    trained = "" if share is None else f", {share:.1%} of all parameters"
    return f"The rule {selection.rule} chose {what}{trained}."


def _facts(tracing: Tracing) -> Iterable[tuple[str, str]]:
    selection, counts, total = tracing.selection, tracing.counts, tracing.effects.total
    unit = UNITS[selection.metric]
    yield "total effect", f"{total.mean:.2f} {unit} (95% interval {_range(total.low, total.high)})"
    yield from _largest(tracing)
    yield "rule", f"{selection.rule}, {selection.value:g}"
    yield "stability of the choice", f"{selection.stability:.2f} (1: every resample chooses the same)"
    yield "facts traced", f"{counts['traced']} of {counts['persons']} persons"
    for reason, text in REASONS.items():
        if counts[reason]:
            yield f"facts {text}", str(counts[reason])
    yield "measured", ", ".join(_measured(tracing))
    if tracing.noise_share is not None:
        yield "variance due to the finite number of runs", f"{tracing.noise_share:.0%}"
    for label, rank in (tracing.screening or {}).items():
        yield f"rank correlation with exact effects, {label}", "unknown" if rank is None else f"{rank:.2f}"


def _largest(tracing: Tracing) -> Iterable[tuple[str, str]]:
    """The peak of the effects that decided."""
    found = tracing.effects.of(tracing.deciding)
    peak = max(range(len(found.effect.mean)), key=found.effect.mean.__getitem__)
    share = "" if found.normalised is None else f", {found.normalised[peak]:.0%} of the total"
    yield f"largest effect, {found.restoration.label}", f"{found.effect.mean[peak]:.2f} at layer {peak}{share}"


def _measured(tracing: Tracing) -> Iterable[str]:
    """How, in a few words."""
    yield str(tracing.mode)
    yield str(tracing.direction)
    if tracing.mode is TraceMode.weights:
        return
    noise = f"noise in {tracing.runs} runs a fact"
    yield noise if tracing.corruption is Corruption.noise else _words(tracing.corruption)
    yield f"tokens: {_words(tracing.tokens)}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _numbers(tracing: Tracing) -> Iterable[Numbers]:
    """Every restoration at the deciding tokens; then, where several groups were traced, each kind by group."""
    effects = tracing.effects
    named = {item.restoration.label: item.effect for item in effects.restorations}
    yield _table("Indirect effect", named)
    groups = groups_of(tracing)
    if len(groups) > 1:
        for item in group_effects(tracing):
            yield _table(f"{item.restoration.label}, by tokens", {GROUPS[name]: item.by_group[name] for name in groups})


def _table(title: str, curves: dict[str, EffectCurve]) -> Numbers:
    depth = len(next(iter(curves.values())).mean)
    rows = (tuple(_cell(curve, layer) for curve in curves.values()) for layer in range(depth))
    return Numbers(title, tuple(curves), tuple(rows))


def _cell(curve: EffectCurve, layer: int) -> tuple[str, str]:
    return _signed(f"{curve.mean[layer]:z.3f}"), _range(curve.low[layer], curve.high[layer])


def _range(low: float, high: float) -> str:
    return _signed(f"{low:z.2f} to {high:z.2f}")


def _signed(number: str) -> str:
    """With a minus sign as wide as a plus."""
    return number.replace("-", "−")


def _listed(layers: Sequence[int]) -> str:
    """Layer numbers, neighbours as a range: 0, 3-5."""
    runs: list[list[int]] = []
    for layer in layers:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs) or "none"


def _fact_images(run_dir: Path) -> list[Path]:
    """In the order of their numbers."""
    return sorted((run_dir / PLOTS).glob("trace_fact_*.png"), key=lambda path: (len(path.name), path.name))


def _data_url(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
