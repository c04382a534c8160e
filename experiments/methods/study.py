"""Table and figure of experiments/methods: all methods on the sandbox beside the published scores.

See experiments/study.py for the command. `run.py` in this folder writes the runs.csv that it reads.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from experiments.study import KEYS, SCORES, Line, Study, draw_runs, group_by, markdown, mean, numbers, read_csv
from unlearning.report.style import INK, METHODS, MUTED, RETRAINED, TARGET, Picture, picture

HERE = Path(__file__).parent
SIX = ("layer_freeze", "chunked_lora", "kl_min", "grad_ascent", "grad_diff", "npo")
"""The methods of the question: the two seed systems and the organisers' baselines."""
BEST = 4
"""How many methods the answer names."""
PANELS = {"final": "final", "task_aggregate": "task aggregate", "mia_score": "MIA score", "utility": "utility"}
"""Columns that the figure shows, with the titles of their panels.

The titles are columns of experiments/quickstart/results.csv and, after "7B ", of published.csv. The latter has no
utility, because the sandbox's utility is not MMLU.
"""
TEAMS = ("zjuklab_over", "zjuklab_under", "alternating_lora")
"""Methods of teams of the task that are not in published.csv."""
ORIGINS = {"from a team": METHODS[0], "from the organisers": METHODS[1], "from elsewhere": METHODS[2]}
"""Where a method comes from -> its colour."""
REFERENCES = {"untouched target": TARGET, "retrained model": RETRAINED}
"""Model in experiments/quickstart/results.csv -> the colour of its line."""


def runs_by_rate(lines: Sequence[Line]) -> dict[str, list[list[Line]]]:
    """Return each method's runs by learning rate, first the rate that is best on seed 0; methods by final score."""
    rates = {
        name: sorted(group_by(own, "lr").values(), key=on_seed_0, reverse=True)
        for (name,), own in group_by(lines, "method").items()
    }
    return dict(sorted(rates.items(), key=lambda item: mean(item[1][0], "final"), reverse=True))


def on_seed_0(runs: Sequence[Line]) -> float:
    """Return the final score on seed 0, by which a learning rate is chosen."""
    return next(float(line["final"]) for line in runs if line["seed"] == "0")


def counted(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """Return each method's runs at its best learning rate; the highest mean final score comes first."""
    return {name: best for name, (best, *_) in runs_by_rate(lines).items()}


def published() -> dict[str, dict[str, str]]:
    """Return the lines of published.csv by method."""
    return {line["method"]: line for line in read_csv(HERE / "published.csv")}


def table(lines: Sequence[Line]) -> str:
    """Return a table with a row for each method, by final score with its range, then the rank correlations."""
    official, rows = published(), []
    for name, runs in counted(lines).items():
        finals = numbers(runs, "final")
        spread = f"{mean(runs, 'final'):.3f} ({min(finals):.2f}-{max(finals):.2f})"
        values = [f"{mean(runs, key):.3f}" for key in KEYS]
        there = official.get(name, {})
        rows.append([f"`{name}`", runs[0]["lr"], spread, *values, there.get("7B final", ""), there.get("1B final", "")])
    headings = ["method", "lr", "final", *(key.replace("_", " ") for key in KEYS), "published 7B", "published 1B"]
    correlations = [
        f"\nRank correlation with the published 7B scores, {title} ({len(names)}): {correlation(lines, names):.2f}\n"
        for title, names in {"the six of the question": SIX, "all that have both": tuple(official)}.items()
    ]
    return markdown(headings, rows) + "".join(correlations)


def correlation(lines: Sequence[Line], names: Iterable[str]) -> float:
    """Return Spearman's correlation of these methods' mean final scores with those published for 7B."""
    runs, official = counted(lines), published()
    both = [(mean(runs[name], "final"), float(official[name]["7B final"])) for name in names]
    return float(spearmanr(*zip(*both, strict=True)).statistic)


def answer(lines: Sequence[Line]) -> str:
    """Name the best methods, and say how far their order agrees with the published one."""
    runs, official = counted(lines), published()
    best = ", ".join(f"`{name}` {mean(own, 'final'):.2f}" for name, own in list(runs.items())[:BEST])
    return (
        f"highest final scores of {len(runs)} methods: {best}; rank correlation with the published 7B scores "
        f"{correlation(lines, SIX):.2f} over both seed systems and the organisers' baselines, "
        f"{correlation(lines, official):.2f} over all {len(official)} that have both."
    )


def origin(name: str, official: Mapping[str, Line]) -> str:
    """Return where a method comes from, a key of ORIGINS."""
    if official.get(name, {}).get("team or baseline", "").startswith("organisers'"):
        return "from the organisers"
    return "from a team" if name in official or name in TEAMS else "from elsewhere"


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return a figure of the final score and its parts by method."""
    return [
        picture(
            "methods",
            "All methods on the sandbox",
            "Mean of three seeds with its 95% interval at the learning rate that counts; dots are single runs, hollow "
            "circles the other learning rates, diamonds the published 7B scores.",
            (10.5, 6.6),
            lambda figure: draw(figure, lines),
        )
    ]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """Draw a panel for each part of the score, a row for each method, in a colour for each origin."""
    methods, official = runs_by_rate(lines), published()
    references = {line["model"]: line for line in read_csv(HERE.parent / "quickstart" / "results.csv")}
    for axis, (key, heading) in zip(figure.subplots(1, len(PANELS), sharey=True), PANELS.items(), strict=True):
        axis.set(title=heading, xlim=(-0.04, 1.04))
        for name, colour in REFERENCES.items():
            axis.axvline(float(references[name][heading]), color=colour, linewidth=1.2, linestyle="--", label=name)
        for place, (name, (best, *others)) in enumerate(methods.items()):
            colour = ORIGINS[origin(name, official)]
            for other in others:
                axis.plot(mean(other, key), place, "o", markersize=5, color=colour, markerfacecolor="none")
            draw_runs(axis, best, key, place, colour)
            if value := official.get(name, {}).get(f"7B {heading}"):
                axis.plot(float(value), place, "D", markersize=4.5, color=INK, markerfacecolor="none")
    axis = figure.axes[0]
    axis.set_yticks(range(len(methods)), list(methods), color=MUTED)
    axis.set_ylim(len(methods) - 0.4, -0.6)
    for label, colour in ORIGINS.items():
        axis.plot([], [], "o", color=colour, label=label)
    axis.plot([], [], "o", color=MUTED, markerfacecolor="none", label="other learning rate")
    axis.plot([], [], "D", markersize=4.5, color=INK, markerfacecolor="none", label="published 7B")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=7)


STUDY = Study(
    folder=HERE,
    question="Where do all methods stand on the sandbox?",
    answer=answer,
    columns={key: key for key in ("method", "lr", "seed", *SCORES, "seconds")},
    table=table,
    pictures=pictures,
)

if __name__ == "__main__":
    STUDY.main()
