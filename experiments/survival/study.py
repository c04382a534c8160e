"""What survives relearning and 4-bit weights? Table and figure of experiments/survival; see experiments/study.py.

Its comparisons are of runs that were probed (`unlearn-probe`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.block_choice.study import CHOICES
from experiments.study import (
    RUN,
    Line,
    Study,
    draw_runs,
    finished_runs,
    grouped,
    listed,
    markdown,
    mean,
    read_csv,
    with_half,
)
from unlearning.report.style import METHODS, MUTED, Picture, picture

HERE = Path(__file__).parent
PROBES = {
    "unprobed": "asked plainly",
    "relearning": "relearning",
    "int8": "8-bit weights",
    "int4": "4-bit weights",
}


def probed_runs(comparison: Path) -> list[Line]:
    """A line a probe of each run that was probed: the run's and the probe's own columns."""
    return [
        {**run, **line}
        for run in finished_runs(comparison)
        if (probes := comparison / run["run"] / "probes.csv").exists()
        for line in read_csv(probes)
    ]


def table(lines: Sequence[Line]) -> str:
    """One row a method and choice of blocks; what each probe brings back, and how much the gold model learns by it."""
    groups = grouped(lines, "method", "blocks", "probe")
    rows = []
    for method, blocks in sorted(
        grouped(lines, "method", "blocks"), key=lambda key: (key[0], list(CHOICES).index(key[1]))
    ):
        cells = [with_half(groups[method, blocks, probe], "unlearned") for probe in PROBES]
        rows.append([f"`{method}`", f"{CHOICES[blocks]} ({blocks})", *cells])
    for who in ("target", "gold"):
        cells = [f"{mean([line for line in lines if line['probe'] == probe], who):.3f}" for probe in PROBES]
        rows.append([f"{who} model", "", *cells])
    return markdown(["method", "blocks trained", *PROBES.values()], rows)


def answer(lines: Sequence[Line]) -> str:
    """What relearning brings back by the blocks that were trained, and the most that rounded weights do."""
    relearned = grouped([line for line in lines if line["probe"] == "relearning"], "blocks")
    named = {f"{CHOICES[blocks]} ({blocks})": runs for (blocks,), runs in relearned.items()}
    gold = mean([line for line in lines if line["probe"] == "relearning"], "gold")
    rounded = [runs for (probe, _, _), runs in grouped(lines, "probe", "method", "blocks").items() if "int" in probe]
    return (
        f"exact match on forgotten questions after relearning, by the blocks that were trained: "
        f"{listed(named, 'unlearned')} (gold model {gold:.2f}); "
        f"8- and 4-bit weights bring back {max(mean(runs, 'unlearned') for runs in rounded):.3f} at most."
    )


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Recovered shares."""
    return [
        picture(
            "recovered",
            "What comes back",
            "Exact match on forgotten questions after each probe: mean of three seeds with its 95% interval.",
            (9.5, 3.6),
            lambda figure: draw(figure, lines),
        )
    ]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """A panel a method, a row a choice of blocks, a colour a probe."""
    groups = grouped(lines, "method", "blocks", "probe")
    methods = list(dict.fromkeys(line["method"] for line in lines))
    choices = [blocks for blocks in CHOICES if any(line["blocks"] == blocks for line in lines)]
    axes = figure.subplots(1, len(methods), sharey=True, squeeze=False)[0]
    for axis, method in zip(axes, methods, strict=True):
        axis.set(title=method, xlabel="exact match on forgotten questions")
        for place, blocks in enumerate(choices):
            for index, probe in enumerate(PROBES):
                if runs := groups.get((method, blocks, probe)):
                    draw_runs(axis, runs, "unlearned", place + 0.14 * (index - (len(PROBES) - 1) / 2), METHODS[index])
    axes[0].set_yticks(range(len(choices)), [f"{CHOICES[blocks]} ({blocks})" for blocks in choices], color=MUTED)
    axes[0].invert_yaxis()
    for index, label in enumerate(PROBES.values()):
        axes[0].plot([], [], "o", color=METHODS[index], label=label)
    figure.legend(loc="outside lower center", ncols=len(PROBES))


COLUMNS = {
    **RUN,
    "blocks": "scope.blocks",
    **{key: key for key in ("probe", "target", "unlearned", "gold", "recovered")},
}
STUDY = Study(
    folder=HERE,
    question="What survives relearning and 4 bits?",
    answer=answer,
    columns=COLUMNS,
    table=table,
    pictures=pictures,
    measured=probed_runs,
)

if __name__ == "__main__":
    STUDY.main()
