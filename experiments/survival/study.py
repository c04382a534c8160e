"""What survives relearning and 4-bit weights? Table and figure of experiments/survival; see experiments/study.py.

Its comparisons are those of three other studies, with runs that were probed (`unlearn-probe`).
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
from experiments.study import RUN, Line, Study, draw_runs, grouped, markdown, mean, read_csv, with_half
from unlearning.report.style import METHODS, Picture, picture

PROBES = {
    "unprobed": "asked plainly",
    "relearning": "relearning",
    "int8": "8-bit weights",
    "int4": "4-bit weights",
}
ROUNDED = ("int8", "int4")


class Source(NamedTuple):
    """Where runs come from."""

    study: Study
    setting: Callable[[Line], str]
    """What the study varied, of a line of its results.csv."""
    varied: str


SOURCES = {
    "layer_choice": Source(layer_choice.STUDY, layer_choice.setting, "layers"),
    "retain_term": Source(retain_term.STUDY, retain_term.setting, "retain term"),
    "chunks": Source(chunking.STUDY, chunking.setting, "chunks"),
}
"""By the folder of the comparison."""


def probed_runs(comparison: Path) -> list[Line]:
    """A line a probe of each run that was probed: the run's and the probe's own columns, and what its study varied."""
    study, setting, varied = SOURCES[comparison.name]
    lines = []
    for run in study.measured(comparison):
        if (probes := comparison / run["run"] / "probes.csv").exists():
            named = setting({own: run.get(key, "") for own, key in study.columns.items()})
            lines += [{**run, **line, "varied": varied, "setting": named} for line in read_csv(probes)]
    return lines


def settings(lines: Sequence[Line]) -> list[tuple[str, str, str]]:
    """What varies, method and setting; the most that relearning brings back last."""
    groups = grouped([line for line in lines if line["probe"] == "relearning"], "varied", "method", "setting")
    varied = [source.varied for source in SOURCES.values()]
    return sorted(groups, key=lambda key: (varied.index(key[0]), key[1], mean(groups[key], "unlearned")))


def table(lines: Sequence[Line]) -> str:
    """One row a setting; what each probe brings back, and how much the retrained models learn by it."""
    groups = grouped(lines, "varied", "method", "setting", "probe")
    rows = []
    for varied, method, setting in settings(lines):
        runs = {probe: groups[varied, method, setting, probe] for probe in PROBES}
        final = f"{mean(runs['unprobed'], 'final'):.3f}"
        cells = [with_half(runs[probe], "unlearned") for probe in PROBES]
        rows.append([varied, f"`{method}`", setting, final, *cells])
    for who in ("target", "retrained"):
        own = [line for line in lines if line[who]]
        cells = [f"{mean([line for line in own if line['probe'] == probe], who):.3f}" for probe in PROBES]
        rows.append(["", "", f"{who} model", "", *cells])
    return markdown(["what varies", "method", "setting", "final", *PROBES.values()], rows)


def answer(lines: Sequence[Line]) -> str:
    """What relearning brings back, by the first layer that was trained, in chunks and mixed; the most by rounding."""
    relearned = [line for line in lines if line["probe"] == "relearning"]
    by_layer: dict[int, list[float]] = defaultdict(list)
    for line in relearned:
        if line["varied"] == "layers":
            by_layer[first_layer(line["layers"])].append(float(line["unlearned"]))
    layers = ", ".join(f"layer {layer} {fmean(values):.2f}" for layer, values in sorted(by_layer.items()))
    groups = grouped([line for line in relearned if line["varied"] == "chunks"], "setting")
    chunks = [mean(runs, "unlearned") for (name,), runs in groups.items() if "chunk" in name]
    mixed = [mean(runs, "unlearned") for (name,), runs in groups.items() if "mixed" in name]
    retrained = max(float(line["retrained"]) for line in relearned if line["retrained"])
    rounded = grouped([line for line in lines if line["probe"] in ROUNDED], "probe", "varied", "method", "setting")
    return (
        f"exact match on forgotten questions after relearning, by the first layer that was trained: {layers} "
        f"(retrained model {retrained:.2f}); in chunks {min(chunks):.2f} to {max(chunks):.2f}, "
        f"all mixed {min(mixed):.2f} to {max(mixed):.2f}; 8- and 4-bit weights bring back "
        f"{max(mean(runs, 'unlearned') for runs in rounded.values()):.3f} at most."
    )


def first_layer(layers: str) -> int:
    """Of a run's layers, such as 0-2, 4,5,7 or all."""
    return 0 if layers == "all" else int(re.split("[-,]", layers)[0])


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Recovered shares."""
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
    """A panel a method and what varies, a row a setting, a colour a probe."""
    groups = grouped(lines, "varied", "method", "setting", "probe")
    panels = grouped(lines, "varied", "method")
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
    figure.axes[0].set_xlim(left=-0.03)  # shared; an interval's part below 0 says nothing
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
    measured=probed_runs,
)

if __name__ == "__main__":
    STUDY.main()
