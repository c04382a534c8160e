"""Table and figure of experiments/pretrained_search: searches with equal budgets on SmolLM2 (see experiments/study.py).

FOLDER has a folder for each method, made by `unlearn -m search=METHOD`, with a folder for each trial.
"""

import json
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import yaml

from experiments.study import Line, Study, group_by, markdown
from unlearning.report.style import METHODS, Picture, picture

SCORES = ("task_aggregate", "mia_auc", "forget_knowledge", "forget_regurgitation", "retain_knowledge", "neutral_nats")
ENDED = ("finished", "failed")
"""States of trials that count; one that was cut off at the end of the budget does not."""
SEARCHED = {
    "lr": ("optimizer", "lr"),
    "epochs": ("schedule", "epochs"),
    "ceiling": ("objective", "forget_ceiling_nats"),
    "retain_weight": ("objective", "retain_weight"),
    "beta": ("objective", "beta"),
    "max_weight": ("objective", "max_weight"),
    "rank": ("scope", "rank"),
}
"""Column -> where its number stands in a run's configuration; a method has some of them."""


def collected_lines(folder: Path) -> list[Line]:
    """Return a line for each trial that came to its end, the failed ones too."""
    found = {_place(path.parent): path.parent for path in folder.glob("*/*/status.json")}
    lines = [_line(found[place]) for place in sorted(found)]
    return [line for line in lines if line["state"] in ENDED]


def _place(run: Path) -> tuple[str, int]:
    """Return method and number of a trial, whose folder is METHOD/NUMBER-NAME."""
    return run.parent.name, int(run.name.partition("-")[0])


def _line(run: Path) -> Line:
    config = yaml.safe_load((run / "config.yaml").read_text())
    status = json.loads((run / "status.json").read_text())
    scores: dict[str, Any] = {}
    if status["state"] == "finished":
        scores = json.loads((run / "metrics.json").read_text())["unlearned"]
    own = {
        "method": run.parent.name,
        "trial": str(_place(run)[1]),
        "seed": str(config["seed"]),
        "state": status["state"],
    }
    own |= {name: _number(config.get(part, {}).get(key)) for name, (part, key) in SEARCHED.items()}
    own |= {key: _number(scores.get(key)) for key in SCORES}
    return own | {"seconds": f"{_seconds(run):.0f}"}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _seconds(run: Path) -> float:
    """Return how long a trial took: from its provenance, or, if it failed, between its first file and its last."""
    provenance = run / "provenance.json"
    if provenance.exists():
        return float(sum(json.loads(provenance.read_text())["stage_seconds"].values()))
    return (run / "status.json").stat().st_mtime - (run / "config.yaml").stat().st_mtime


def score(line: Line) -> float:
    """Return the task aggregate of a trial; 0 for one that failed, since it found nothing."""
    return float(line["task_aggregate"] or 0)


def by_method(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """Return the trials by method, the method with the best trial first."""
    groups = {name: runs for (name,), runs in group_by(lines, "method").items()}
    return dict(sorted(groups.items(), key=lambda item: -max(score(line) for line in item[1])))


def table(lines: Sequence[Line]) -> str:
    """Return a row for each method: its budget, and its best trial."""
    rows = []
    for name, runs in by_method(lines).items():
        best = max(runs, key=score)
        failed = sum(line["state"] != "finished" for line in runs)
        minutes = sum(float(line["seconds"]) for line in runs) / 60
        numbers = ", ".join(f"{key.replace('_', ' ')} {best[key]}" for key in SEARCHED if best[key])
        scores = [f"{float(best[key]):.3f}" if best[key] else "" for key in SCORES]
        rows.append([f"`{name}`", f"{len(runs)}", f"{failed}", f"{minutes:.0f}", *scores, numbers])
    headings = ["method", "trials", "ended early", "CPU minutes", "task aggregate", "AUC", "forget EM", "forget R-L"]
    return markdown([*headings, "retain EM", "neutral loss, nats", "numbers of the best trial"], rows)


def answer(lines: Sequence[Line]) -> str:
    """Give the best task aggregate of each method."""
    groups = by_method(lines)
    named = (f"`{name}` {max(map(score, runs)):.2f} ({len(runs)} trials)" for name, runs in groups.items())
    return f"best task aggregate in equal CPU time: {', '.join(named)}."


def pictures(lines: Sequence[Line]) -> list[Picture]:
    """Return the figure of the best score against the budget."""
    caption = "A dot is the end of a trial. Trials that ended early take less time and change nothing."
    return [picture("budget", "Best score by budget", caption, (7.0, 3.8), lambda figure: draw(figure, lines))]


def draw(figure: Any, lines: Sequence[Line]) -> None:
    """Draw the best task aggregate so far over the CPU minutes that were spent."""
    axis = figure.subplots()
    for colour, (name, runs) in zip(METHODS, by_method(lines).items(), strict=False):
        spent = list(accumulate(float(line["seconds"]) / 60 for line in runs))
        best = list(accumulate((score(line) for line in runs), max))
        axis.step([0, *spent], [0, *best], "o-", where="post", color=colour, markersize=4, label=name)
    axis.set(xlabel="CPU minutes, one thread", ylabel="best task aggregate", ylim=(-0.03, 1.03))
    figure.legend(loc="outside right upper")


STUDY = Study(
    folder=Path(__file__).parent,
    question="Which methods do best on a pretrained model with equal budgets?",
    answer=answer,
    columns={key: key for key in ("method", "trial", "seed", "state", *SEARCHED, *SCORES, "seconds")},
    table=table,
    pictures=pictures,
    collected_lines=collected_lines,
)

if __name__ == "__main__":
    STUDY.main()
