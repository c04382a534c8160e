"""Tables and figure of experiments/lasting: which methods forget, keep and last? (see experiments/study.py)

FOLDER has two folders of finished and probed runs, `methods` and `parts`.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from experiments.probed_runs import LEAK, front, front_picture, probed
from experiments.study import Line, Study, group_by, markdown, mean
from unlearning.report.style import Picture

SCORES = ("final", "task_aggregate", "mia_score", "utility", "retain_regurgitation", "neutral_nats", "mia_auc_min_k")
PROBES = ("relearning", "int4", "primed", "paraphrased", "worst_case")
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
    "leak": LEAK,
}


def collected_lines(folder: Path) -> list[Line]:
    """Return a line for each finished and probed run."""
    found = sorted(folder.glob("*/*/probes.json"))
    return [{"group": path.parent.parent.name, **_line(path.parent)} for path in found]


def _line(run: Path) -> Line:
    metrics = json.loads((run / "metrics.json").read_text())
    setting, _, seed = run.name.rpartition("-")
    own = {"setting": setting, "seed": seed} | {key: f"{metrics['unlearned'][key]:.4f}" for key in SCORES}
    own["utility_share"] = f"{metrics['unlearned']['utility'] / metrics['target']['utility']:.4f}"
    own |= probed(run, "unlearned", PROBES)
    own["worst_case_retrained"] = probed(run, "retrained", ["worst_case"])["worst_case"]
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


def _methods(lines: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    own = [line for line in lines if line["group"] == "methods"]
    return [(name, runs) for (name,), runs in group_by(own, "setting").items()]


def answer(lines: Sequence[Line]) -> str:
    """Give the final score of each method on the front, and the bars that it misses."""
    groups = dict(_methods(lines))
    best = sorted(front(groups), key=lambda name: -mean(groups[name], "final"))
    named = (f"`{name}` {mean(groups[name], 'final'):.2f} (bars missed: {bars_missed(groups[name])})" for name in best)
    return f"on the front of final score, worst case over probes and {LEAK}, by final score: {', '.join(named)}."


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return the figure of the final score against what comes back."""
    return [front_picture(dict(_methods(lines)))]


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
