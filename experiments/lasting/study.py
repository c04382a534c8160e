"""Tables and figure of experiments/lasting: which methods forget, keep and last? (see experiments/study.py)

FOLDER has two folders of finished and probed runs, `methods` and `parts`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.study import Line, Study, group_by, markdown, mean
from unlearning.report.style import METHODS, Picture, picture

SCORES = ("final", "task_aggregate", "mia_score", "utility", "retain_regurgitation", "neutral_nats", "mia_auc_min_k")
PROBES = ("relearning", "int4", "primed", "paraphrased", "worst_case")
SAMPLES = 64
"""k of leak@k."""
BARS = {"task_aggregate": 0.95, "mia_score": 0.90, "utility_share": 0.95, "recovered": 0.05}
"""What was set before: three scores at least so high, and the recovery above the retrained model's at most so high."""
SHOWN = {
    "final": "final",
    "task_aggregate": "task aggregate",
    "mia_score": "MIA score",
    "utility": "utility",
    "utility_share": "of the target's",
    "mia_auc_min_k": "AUC by min-k",
    "relearning": "relearning",
    "worst_case": "worst case",
    "worst_case_retrained": "retrained",
    "leak": "leak@64",
}


def collected_lines(folder: Path) -> list[Line]:
    """Return a line for each finished and probed run."""
    found = sorted(folder.glob("*/*/probes.json"))
    return [{"group": path.parent.parent.name, **_line(path.parent)} for path in found]


def _line(run: Path) -> Line:
    metrics = json.loads((run / "metrics.json").read_text())
    probes = {probe["name"]: probe for probe in json.loads((run / "probes.json").read_text())["probes"]}
    setting, _, seed = run.name.rpartition("-")
    own = {"setting": setting, "seed": seed} | {key: f"{metrics['unlearned'][key]:.4f}" for key in SCORES}
    own["utility_share"] = f"{metrics['unlearned']['utility'] / metrics['target']['utility']:.4f}"
    own |= {name: f"{probes[name]['values']['unlearned']['value']:.4f}" for name in PROBES}
    own["worst_case_retrained"] = f"{probes['worst_case']['values']['retrained']['value']:.4f}"
    curve = probes["leakage"]["curves"]["unlearned"]
    own["leak"] = f"{next(point['asked']['value'] for point in curve if point['effort'] == SAMPLES):.2e}"
    return {**own, "seconds": f"{metrics['training']['seconds']:.0f}"}


def table(lines: Sequence[Line]) -> str:
    """Return a table for each group of runs, with the highest final score first."""
    groups = group_by(lines, "group")
    return "\n".join(_table(groups[group,], heading) for group, heading in HEADINGS.items() if (group,) in groups)


HEADINGS = {"methods": "on the sandbox", "parts": "what changes"}


def _table(lines: Sequence[Line], heading: str) -> str:
    groups = group_by(lines, "setting")
    rows = []
    for (setting,), runs in sorted(groups.items(), key=lambda item: -mean(item[1], "final")):
        name = setting.replace("_", " ") if heading == HEADINGS["parts"] else f"`{setting}`"
        rows.append([name, f"{len(runs)}", *(_cell(runs, key) for key in SHOWN), bars_missed(runs)])
    return markdown([heading, "seeds", *SHOWN.values(), "bars missed"], rows)


def _cell(runs: Sequence[Line], key: str) -> str:
    value = mean(runs, key)
    return f"{value:.0%}" if key == "utility_share" else f"{value:.0e}" if key == "leak" else f"{value:.3f}"


def bars_missed(runs: Sequence[Line]) -> str:
    """Return which bars the mean over seeds misses, in words."""
    short = {"task_aggregate": "task aggregate", "mia_score": "MIA", "utility_share": "utility"}
    missed = [name for key, name in short.items() if mean(runs, key) < BARS[key]]
    recovered = mean(runs, "worst_case") - mean(runs, "worst_case_retrained")
    return ", ".join([*missed, *(["recovery"] if recovered > BARS["recovered"] else [])]) or "none"


def front(lines: Sequence[Line]) -> list[str]:
    """Return the methods that no other one surpasses in final score, in worst case and in leakage together."""
    points = {name: _point(runs) for name, runs in _methods(lines)}
    return [name for name, point in points.items() if not any(_surpasses(other, point) for other in points.values())]


def _point(runs: Sequence[Line]) -> tuple[float, ...]:
    return mean(runs, "final"), -mean(runs, "worst_case"), -mean(runs, "leak")


def _surpasses(other: tuple[float, ...], point: tuple[float, ...]) -> bool:
    return other != point and all(a >= b for a, b in zip(other, point, strict=True))


def _methods(lines: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    own = [line for line in lines if line["group"] == "methods"]
    return [(name, runs) for (name,), runs in group_by(own, "setting").items()]


def answer(lines: Sequence[Line]) -> str:
    """Give the final score of each method on the front, and the bars that it misses."""
    groups = dict(_methods(lines))
    best = sorted(front(lines), key=lambda name: -mean(groups[name], "final"))
    named = (f"`{name}` {mean(groups[name], 'final'):.2f} (bars missed: {bars_missed(groups[name])})" for name in best)
    return (
        f"on the front of final score, worst case over probes and leak@{SAMPLES}, by final score: {', '.join(named)}."
    )


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return the figure of the final score against what comes back."""
    caption = "Rings: means over seeds, filled on the front; dots: runs. Worst case: what any probe brings back."
    return [picture("front", "Forgetting that lasts", caption, (7.0, 4.2), lambda figure: draw(figure, lines))]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """Draw each method's mean as a large mark, filled where it is on the front, and its runs as dots."""
    axis = figure.subplots()
    best = front(lines)
    for colour, (name, runs) in zip(METHODS, _methods(lines), strict=False):
        points = [(float(run["worst_case"]), float(run["final"])) for run in runs]
        axis.plot(*zip(*points, strict=True), ".", color=colour, markersize=5)
        at = mean(runs, "worst_case"), mean(runs, "final")
        axis.plot(*at, "o", color=colour, fillstyle="full" if name in best else "none", markersize=11, label=name)
    axis.set(xlabel="worst case over all probes", ylabel="final score")
    axis.margins(0.1)
    figure.legend(loc="outside right upper")


COLUMNS = ("group", "setting", "seed", *SCORES, "utility_share", *PROBES, "worst_case_retrained", "leak", "seconds")
STUDY = Study(
    folder=Path(__file__).parent,
    question="Which methods forget, keep and last?",
    answer=answer,
    columns={key: key for key in COLUMNS},
    table=table,
    pictures=pictures,
    collected_lines=collected_lines,
)

if __name__ == "__main__":
    STUDY.main()
