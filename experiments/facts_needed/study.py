"""Figure and table of experiments/facts_needed: `python -m experiments.facts_needed.study [FOLDER]`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.facts_needed.draws import COLUMNS, collected_lines
from experiments.study import Line, Study, group_by, markdown, numbers
from unlearning.report.style import METHODS, MUTED, Picture, picture

WANTED = 0.9
"""Agreement that is enough."""
SCHEMES = {"spread": "-", "persons": "--"}
"""Way of drawing facts -> the style of its line in the figure."""
LABELS = {"spread": "spread over persons", "persons": "whole persons, with replacement"}
MEASURES = {"same": "share of draws that\nchoose the same layers", "jaccard": "mean Jaccard index"}
HEADINGS = ("traced by", "rule", "all facts choose", "facts for a Jaccard index of 0.9: spread, persons")
MORE = ("facts for the same layers in 0.9 of draws: spread, persons", "Jaccard of two draws of 20, of 100")
SIZES_OF_PAIRS = ("20", "100")


def table(lines: Sequence[Line]) -> str:
    """Return a table with a row for each estimator and rule: how many facts are enough by each measure."""
    rows = []
    for (estimator, rule), own in group_by(lines, "estimator", "rule").items():
        needed = [
            ", ".join(enough(of_scheme, measure) for of_scheme in group_by(own, "scheme").values())
            for measure in ("jaccard", "same")
        ]
        pairs = {line["n"]: line["pair_jaccard"] for line in own if line["pair_jaccard"]}
        agree = ", ".join(f"{float(pairs[size]):.2f}" for size in SIZES_OF_PAIRS)
        rows.append([estimator, f"{rule} {own[0]['value']}", own[0]["chosen_from_all"], *needed, agree])
    return markdown((*HEADINGS, *MORE), rows)


def enough(lines: Sequence[Line], measure: str) -> str:
    """Return the smallest number of facts from which on the measure is never below WANTED, such as "20" or "> 200"."""
    sizes: list[str] = []
    for line in reversed(lines):
        if float(line[measure]) < WANTED:
            break
        sizes.append(line["n"])
    return sizes[-1] if sizes else f"> {lines[-1]['n']}"


def answer(lines: Sequence[Line]) -> str:
    """Say how many facts are enough for each rule if they are drawn as unlearn-trace draws them."""
    parts = []
    for (estimator,), own in group_by([line for line in lines if line["scheme"] == "spread"], "estimator").items():
        rules = [f"{rule} {enough(of, 'same')}" for (rule,), of in group_by(own, "rule").items()]
        parts.append(f"by {estimator} {', '.join(rules)}".replace("_", " "))
    return f"For the layers that all facts choose in 9 of 10 draws, by rule: {'; '.join(parts)}."


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return the one figure of this study."""
    caption = "Agreement of layers chosen from n facts with those chosen from all; dashed, of whole persons."
    return [picture("stability", "Stability of the choice", caption, (9.0, 5.2), lambda figure: draw(figure, lines))]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """Draw a row of panels for each measure and a column for each estimator."""
    estimators = group_by(lines, "estimator")
    grid = figure.subplots(len(MEASURES), len(estimators), sharex=True, sharey=True, squeeze=False)
    for column, ((estimator,), own) in enumerate(estimators.items()):
        grid[0][column].set_title(f"traced by {estimator}")
        for row, measure in enumerate(MEASURES):
            _panel(grid[row][column], own, measure)
        grid[-1][column].set_xlabel("facts")
    for row, label in enumerate(MEASURES.values()):
        grid[row][0].set_ylabel(label)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)


def _panel(axis: Any, lines: Sequence[Line], measure: str) -> None:
    """Draw a line for each rule and way of drawing facts."""
    axis.axhline(WANTED, color=MUTED, linewidth=0.8, linestyle=":")
    for colour, ((rule,), of_rule) in zip(METHODS, group_by(lines, "rule").items(), strict=False):
        for (scheme,), own in group_by(of_rule, "scheme").items():
            label = rule.replace("_", " ") if scheme == "spread" else None
            sizes = numbers(own, "n")
            axis.plot(
                sizes,
                numbers(own, measure),
                SCHEMES[scheme],
                color=colour,
                marker="o",
                markersize=3,
                linewidth=1.6 if scheme == "spread" else 1.1,
                label=label,
            )
    for scheme, style in SCHEMES.items():
        axis.plot([], [], style, color=MUTED, label=LABELS[scheme])
    axis.set_xscale("log")
    axis.minorticks_off()
    axis.set_xticks(sorted({float(line["n"]) for line in lines}), sorted({int(line["n"]) for line in lines}))
    axis.set_ylim(0, 1.03)


STUDY = Study(
    folder=Path(__file__).parent,
    question="How many facts does tracing need?",
    answer=answer,
    columns={column: column for column in COLUMNS},
    table=table,
    pictures=pictures,
    collected_lines=collected_lines,
)

if __name__ == "__main__":
    STUDY.main()
