"""Table and figure of experiments/survival: what survives relearning and 4-bit weights? (see experiments/study.py)

Its runs are those of three other studies, after `unlearn-probe` has probed them.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from experiments.chunking import study as chunking
from experiments.layer_choice import study as layer_choice
from experiments.retain_term import study as retain_term
from experiments.study import RUN, Line, Study, draw_runs, group_by, markdown, mean, mean_with_interval, read_csv
from unlearning.report.style import METHODS, Picture, picture

PROBES = {
    "unprobed": "asked plainly",
    "relearning": "relearning",
    "int8": "8-bit weights",
    "int4": "4-bit weights",
}
ROUNDED = ("int8", "int4")


class Source(NamedTuple):
    """A study whose runs were probed."""

    study: Study
    setting: Callable[[Line], str]
    """Returns in words what the study varied in a line of its results.csv."""
    varied: str
    """What the study varied, in one or two words."""


SOURCES = {
    "layer_choice": Source(layer_choice.STUDY, layer_choice.setting, "layers"),
    "retain_term": Source(retain_term.STUDY, retain_term.setting, "retain term"),
    "chunks": Source(chunking.STUDY, chunking.setting, "chunks"),
}
"""Folder of a comparison -> the study that it belongs to."""


def probed_runs(comparison: Path) -> list[Line]:
    """Return a line for each probe of each probed run: columns of run and probe, and what the study varied."""
    study, setting, varied = SOURCES[comparison.name]
    lines = []
    for run in study.collected_lines(comparison):
        if (probes := comparison / run["run"] / "probes.csv").exists():
            named = setting({own: run.get(key, "") for own, key in study.columns.items()})
            lines += [{**run, **line, "varied": varied, "setting": named} for line in read_csv(probes)]
    return lines


def settings(lines: Sequence[Line]) -> list[tuple[str, str, str]]:
    """Return what varies, method and setting; those from which relearning brings back most come last."""
    groups = group_by([line for line in lines if line["probe"] == "relearning"], "varied", "method", "setting")
    varied = [source.varied for source in SOURCES.values()]
    return sorted(groups, key=lambda key: (varied.index(key[0]), key[1], mean(groups[key], "unlearned")))


def table(lines: Sequence[Line]) -> str:
    """Return a table with a row for each setting: what each probe brings back.

    The last rows are those of the target model and the retrained model.
    """
    groups = group_by(lines, "varied", "method", "setting", "probe")
    rows = []
    for varied, method, setting in settings(lines):
        runs = {probe: groups[varied, method, setting, probe] for probe in PROBES}
        final = f"{mean(runs['unprobed'], 'final'):.3f}"
        cells = [mean_with_interval(runs[probe], "unlearned") for probe in PROBES]
        rows.append([varied, f"`{method}`", setting, final, *cells])
    for who in ("target", "retrained"):
        own = [line for line in lines if line[who]]
        cells = [f"{mean([line for line in own if line['probe'] == probe], who):.3f}" for probe in PROBES]
        rows.append(["", "", f"{who} model", "", *cells])
    return markdown(["what varies", "method", "setting", "final", *PROBES.values()], rows)


def answer(lines: Sequence[Line]) -> str:
    """Say what relearning brings back, by the first trained layer, in chunks and mixed, and what rounding does."""
    relearned = [line for line in lines if line["probe"] == "relearning"]
    by_layer: dict[int, list[float]] = defaultdict(list)
    for line in relearned:
        if line["varied"] == "layers":
            by_layer[first_layer(line["layers"])].append(float(line["unlearned"]))
    layers = ", ".join(f"layer {layer} {fmean(values):.2f}" for layer, values in sorted(by_layer.items()))
    groups = group_by([line for line in relearned if line["varied"] == "chunks"], "setting")
    chunks = [mean(runs, "unlearned") for (name,), runs in groups.items() if "chunk" in name]
    mixed = [mean(runs, "unlearned") for (name,), runs in groups.items() if "mixed" in name]
    retrained = max(float(line["retrained"]) for line in relearned if line["retrained"])
    rounded = group_by([line for line in lines if line["probe"] in ROUNDED], "probe", "varied", "method", "setting")
    return (
        f"exact match on forgotten questions after relearning, by the first layer that was trained: {layers} "
        f"(retrained model {retrained:.2f}); in chunks {min(chunks):.2f} to {max(chunks):.2f}, "
        f"all mixed {min(mixed):.2f} to {max(mixed):.2f}; 8- and 4-bit weights bring back "
        f"{max(mean(runs, 'unlearned') for runs in rounded.values()):.3f} at most."
    )


def first_layer(layers: str) -> int:
    """Return the first of a run's layers, which are written such as "0-2", "4,5,7" or "all"."""
    return 0 if layers == "all" else int(re.split("[-,]", layers)[0])


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return the one figure of this study."""
    return [
        picture(
            "recovered",
            "What comes back",
            "Exact match on forgotten questions after each probe: mean of three seeds with its 95% interval.",
            (11.0, 0.15 * len(settings(lines)) + 2.2),
            lambda figure: draw(figure, lines),
        )
    ]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """Draw a panel for each method and study, a row for each setting, in a colour for each probe."""
    groups = group_by(lines, "varied", "method", "setting", "probe")
    panels = group_by(lines, "varied", "method")
    axes = figure.subplots(-(-len(panels) // 2), 2, sharex=True, squeeze=False).flat
    for axis, (varied, method) in zip(axes, panels, strict=False):
        own = [setting for *key, setting in settings(lines) if key == [varied, method]]
        axis.set(title=f"{method}, by its {varied}", ylim=(len(own) - 0.5, -0.5))
        axis.set_yticks(range(len(own)), own)
        axis.tick_params(labelbottom=True)
        for place, setting in enumerate(own):
            for index, probe in enumerate(PROBES):
                height = place + 0.16 * (index - (len(PROBES) - 1) / 2)
                draw_runs(axis, groups[varied, method, setting, probe], "unlearned", height, METHODS[index])
    figure.axes[0].set_xlim(left=-0.03)  # all panels share it; the part of an interval below 0 has no meaning
    for index, label in enumerate(PROBES.values()):
        figure.axes[0].plot([], [], "o", color=METHODS[index], label=label)
    figure.legend(loc="outside lower center", ncols=len(PROBES))


COLUMNS = {
    "varied": "varied",
    "setting": "setting",
    **RUN,
    "layers": "scope.layers",
    **{key: key for key in ("final", "probe", "target", "unlearned", "retrained", "recovered")},
}
STUDY = Study(
    folder=Path(__file__).parent,
    question="What survives relearning and 4 bits?",
    answer=answer,
    columns=COLUMNS,
    table=table,
    pictures=pictures,
    collected_lines=probed_runs,
)

if __name__ == "__main__":
    STUDY.main()
