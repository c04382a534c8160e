"""Figures and table of experiments/architectures: `python -m experiments.architectures.study [FOLDER]`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from experiments.architectures.run import COLUMNS, EARLY_SHARE, collected_lines
from experiments.study import Line, Study, group_by, markdown, numbers
from unlearning.report.style import INK, KINDS, MUTED, Picture, picture

NAMES = {
    **{"olmo": "OLMo", "olmo2": "OLMo2", "llama": "Llama", "gpt2": "GPT-2", "gpt_neox": "GPT-NeoX"},
    **{"mistral": "Mistral", "gemma3": "Gemma3"},
}
HEADINGS = ("architecture", "traced by", "facts known", "total effect, nats", "early share of MLPs", "largest MLP")
MORE = ("largest attention", "MLPs' share", "early, through later MLPs")
LABELS = {"mlp": "MLP", "attention": "attention"}
COLUMNS_OF_PANELS = 4


def table(lines: Sequence[Line]) -> str:
    """Return a table with a row for each architecture and way of tracing."""
    rows = []
    for (architecture, estimator), own in group_by(lines, "architecture", "estimator").items():
        summary = {line["kind"]: line for line in own if line["layer"] == ""}
        cells = [value_with_interval(summary[kind]) for kind in ("total", "early share of mlp")]
        cells += [peak(summary["peak of mlp"]), peak(summary["peak of attention"])]
        cells += [value_with_interval(summary[kind]) for kind in ("share of mlp", "early through mlp")]
        known = f"{float(own[0]['known']):.2f}"
        rows.append([NAMES[architecture], estimator, known, *cells])
    return markdown((*HEADINGS, *MORE), rows)


def value_with_interval(line: Line) -> str:
    """Return a cell such as "0.52 [0.40, 0.61]"."""
    mean, low, high = (float(line[key]) for key in ("value", "low", "high"))
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def peak(line: Line) -> str:
    """Return the layer of the largest effect, with the range of layers in 95% of the resamples if they differ."""
    mean, low, high = (round(float(line[key])) for key in ("value", "low", "high"))
    return f"{mean}" if low == high else f"{mean} ({low}-{high})"


def answer(lines: Sequence[Line]) -> str:
    """Say in how many architectures the first MLPs have more than their share, and in which attention has more."""
    parts, holds = [], True
    for (estimator,), own in group_by(lines, "estimator").items():
        shares = [line for line in own if line["kind"] == "early share of mlp"]
        early = sum(float(line["low"]) > EARLY_SHARE for line in shares)
        holds &= early == len(shares)
        least, most = min(numbers(shares, "value")), max(numbers(shares, "value"))
        less = [line for line in own if line["kind"] == "share of mlp" and float(line["high"]) < 0.5]
        others = ", ".join(NAMES[line["architecture"]] for line in less) or "none"
        parts.append(
            f"{least:.2f} to {most:.2f} of the MLPs' effect is in the first quarter of the layers by {estimator} "
            f"(above {EARLY_SHARE} with confidence in {early} of {len(shares)}; "
            f"over all layers attention has more in {others})"
        )
    return f"{'Yes' if holds else 'Not in all'}: {'; '.join(parts)}. One model each."


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return a figure for each way of tracing."""
    caption = "Indirect effect by layer, with its 95% band over all layers at once; dotted, another person's states."
    return [
        picture(estimator, f"Traced by {estimator}", caption, (10.0, 4.6), partial(draw, own, estimator))
        for (estimator,), own in group_by(lines, "estimator").items()
    ]


def draw(lines: Sequence[Line], estimator: str, figure: Any) -> None:
    """Draw a panel for each architecture, and the legend in the place that is left."""
    panels = group_by(lines, "architecture")
    rows = -(-(len(panels) + 1) // COLUMNS_OF_PANELS)
    grid = figure.subplots(rows, COLUMNS_OF_PANELS, sharex=True, sharey=True, squeeze=False)
    axes = [axis for row in grid for axis in row]
    for axis, ((architecture,), own) in zip(axes, panels.items(), strict=False):
        _panel(axis, own)
        total = next(line for line in own if line["kind"] == "total")
        axis.set_title(f"{NAMES[architecture]} (total {float(total['value']):.2f})")
    handles, labels = axes[0].get_legend_handles_labels()
    for place in range(len(panels), len(axes)):
        axes[place].set_axis_off()
        axes[place - COLUMNS_OF_PANELS].tick_params(labelbottom=True)
    axes[len(panels)].legend(handles, labels, loc="center", title=f"traced by {estimator}", title_fontsize=8.5)
    figure.supxlabel("layer", fontsize=8.5, color=MUTED)
    figure.supylabel("indirect effect, nats a token", fontsize=8.5, color=MUTED)


def _panel(axis: Any, lines: Sequence[Line]) -> None:
    """Draw the effects of MLPs and attention of one architecture, with their placebos."""
    axis.axhline(0, color=INK, linewidth=0.8)
    for kind, label in LABELS.items():
        own = [line for line in lines if line["kind"] == kind]
        layers = [int(line["layer"]) for line in own]
        low, high, mean, placebo = (numbers(own, key) for key in ("band_low", "band_high", "value", "placebo"))
        axis.fill_between(layers, low, high, color=KINDS[kind], alpha=0.18, linewidth=0)
        axis.plot(layers, mean, color=KINDS[kind], marker="o", markersize=3, label=label)
        axis.plot(layers, placebo, color=KINDS[kind], linestyle=":", linewidth=1.1, label=f"{label}, placebo")
    axis.set_xticks(layers)


STUDY = Study(
    folder=Path(__file__).parent,
    question="Do early MLPs carry the associations in other architectures than OLMo?",
    answer=answer,
    columns={column: column for column in COLUMNS},
    table=table,
    pictures=pictures,
    collected_lines=collected_lines,
)

if __name__ == "__main__":
    STUDY.main()
