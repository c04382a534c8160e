"""Tables and figure of experiments/metrics_judged: which metrics can be believed? (see experiments/study.py)"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.metrics_judged.judging import Changes, Estimate, Judgement, faithfulness, judge
from experiments.metrics_judged.pools import FORMS, KNOWS, LACKS
from experiments.study import Line, Study, markdown, read_csv
from unlearning.bootstrap import Values
from unlearning.report.style import FORGET, METHODS, TARGET, Picture, picture, shared_legend

METRICS = {
    "forget_knowledge": "exact match",
    "forget_regurgitation": "ROUGE-L recall",
    "forget_extraction_strength": "extraction strength",
    "forget_exact_memorisation": "exact memorisation",
    "mia_auc": "membership AUC, loss",
    "mia_auc_min_k_plus": "membership AUC, Min-K%++",
    "mia_score": "1 - membership score",
    "paraphrased": "exact match, reworded",
    "recognition": "recognition",
    "leak_1": "answer probability (leak@1)",
    "leak_128": "leak@128, exact",
    "depth": "depth (1 - UDS)",
}
"""Column of results.csv -> the metric's name in the table."""
LEAST_UTILITY = 0.8
"""Share of the target's exact match on retain questions below which an unlearned model is of no use and not judged."""
SPEC = ("model", "pool", "made", "lr", "epochs", "seed", "state")


def values(lines: Sequence[Line], metric: str) -> Values:
    """Return a metric of each line (N,), turned so that a higher value says that the model knows more."""
    found = np.array([float(line[metric]) for line in lines])
    return 1 - found if metric == "mia_score" else found


def pool(lines: Sequence[Line], name: str) -> list[Line]:
    """Return the lines of a pool's models before anything was done to them."""
    return [line for line in lines if line["pool"] == name and line["state"] == "before"]


def changes(lines: Sequence[Line], metric: str, state: str) -> Changes:
    """Return the metric before and after what was done to the models of these lines."""
    before = [line for line in lines if line["state"] == "before"]
    by_model = {line["model"]: line for line in lines if line["state"] == state}
    after = [by_model[line["model"]] for line in before]
    return Changes(values(before, metric), values(after, metric))


def useful(lines: Sequence[Line]) -> list[Line]:
    """Return the lines of the unlearned models that keep LEAST_UTILITY of what the target knows of the retain set."""
    least = LEAST_UTILITY * float(pool(lines, "target")[0]["retain_knowledge"])
    kept = {line["model"] for line in pool(lines, "unlearned") if float(line["retain_knowledge"]) >= least}
    return [line for line in lines if line["model"] in kept]


def judgements(lines: Sequence[Line]) -> dict[str, Judgement]:
    """Return what is found of each metric, the highest overall value first."""
    retrained, unlearned = [line for line in lines if line["pool"] == "retrained"], useful(lines)
    found = {}
    for metric in METRICS:
        knows, lacks = (values(pool(lines, name), metric) for name in (KNOWS, LACKS))
        changed = [
            tuple(changes(own, metric, state) for state in ("relearned", "quantised")) for own in (retrained, unlearned)
        ]
        found[metric] = judge(knows, lacks, *changed)
    return dict(sorted(found.items(), key=lambda item: -(item[1].overall.value if item[1].overall else 0.0)))


def table(lines: Sequence[Line]) -> str:
    """Return a table of what is found of each metric, and one of the AUC by what the models were taught."""
    rows = []
    for metric, one in judgements(lines).items():
        measured = map(cell, (one.faithfulness, one.relearning, one.quantisation))
        rows.append([METRICS[metric], *measured, str(one.models), cell(one.overall), cell(one.two_sided)])
    headings = ["metric", "faithfulness", "relearning R", "4 bits Q", "models", "overall", "overall, two-sided"]
    return f"{markdown(headings, rows)}\n{table_of_forms(lines)}"


def table_of_forms(lines: Sequence[Line]) -> str:
    """Return a table of the AUC of each form of one pool against the whole other pool."""
    pools = {name: pool(lines, name) for name in (KNOWS, LACKS)}
    rows = []
    for metric in judgements(lines):
        cells = []
        for form, (name, _) in FORMS.items():
            own = {**pools, name: [line for line in pools[name] if line["made"] == form]}
            cells.append(f"{faithfulness(*(values(own[one], metric) for one in (KNOWS, LACKS))):.2f}")
        rows.append([METRICS[metric], *cells])
    return markdown(["metric", *(f"{name}: {form}" for form, (name, _) in FORMS.items())], rows)


def cell(estimate: Estimate | None) -> str:
    """Return a cell such as "0.97 (0.93-1.00)"; a dash for what is not known."""
    if estimate is None:
        return "-"
    return f"{estimate.value:.2f} ({estimate.low:.2f}-{estimate.high:.2f})"


def answer(lines: Sequence[Line]) -> str:
    """Say the overall value of each metric, with its faithfulness."""
    words = [
        f"{METRICS[metric]} {f'{one.overall.value:.2f}' if one.overall else 'unknown'} ({one.faithfulness.value:.2f})"
        for metric, one in judgements(lines).items()
    ]
    return f"overall value and, in brackets, AUC of telling models that know from others: {', '.join(words)}."


class Panel(NamedTuple):
    """A panel of the figure: a number of each metric."""

    title: str
    of: Callable[[Judgement], Estimate | None]


PANELS = (
    Panel("faithfulness", lambda one: one.faithfulness),
    Panel("relearning R", lambda one: one.relearning),
    Panel("4 bits Q", lambda one: one.quantisation),
    Panel("overall", lambda one: one.overall),
)
POOLS = {KNOWS: ("models that know", FORGET, -0.16), LACKS: ("models that lack the knowledge", TARGET, 0.16)}
"""Pool -> its name in the legend, its colour, and how far its dots stand below the middle of a line."""
DOT = {"markersize": 4.5, "alpha": 0.45, "markeredgewidth": 0}


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return the one figure of this study."""
    caption = "Left: each metric of each model, turned so that higher says it knows more. Lines: 95% intervals."
    return [picture("judged", "Metrics judged", caption, (11.0, 5.2), lambda figure: draw(figure, lines))]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """Draw the models' values by metric, then a panel for each number that judges the metric."""
    found = judgements(lines)
    first, *axes = figure.subplots(1, 1 + len(PANELS), sharey=True, width_ratios=[2.2, 1, 1, 1, 1])
    first.set_yticks(range(len(found)), [METRICS[metric] for metric in found])
    first.set(title="what it says of each model", ylim=(len(found) - 0.5, -0.5))
    for name, (label, colour, shift) in POOLS.items():
        own = pool(lines, name)
        for place, metric in enumerate(found):
            heights = [place + shift] * len(own)
            first.plot(values(own, metric), heights, "o", color=colour, label=label, **DOT)
    for axis, panel in zip(axes, PANELS, strict=True):
        axis.set(title=panel.title, xlim=(-0.03, 1.03))
        for place, one in enumerate(map(panel.of, found.values())):
            if one is not None:
                axis.plot([one.low, one.high], [place, place], color=METHODS[0])
                axis.plot(one.value, place, "o", color=METHODS[0], markersize=4.5)
    shared_legend(figure, "lower center", 2)


STUDY = Study(
    folder=Path(__file__).parent,
    question="Which metrics of forgetting can be believed?",
    answer=answer,
    columns={name: name for name in (*SPEC, *METRICS, "retain_knowledge")},
    table=table,
    pictures=pictures,
    collected_lines=lambda folder: read_csv(folder / "runs.csv"),
)

if __name__ == "__main__":
    STUDY.main()
