"""What the studies of searches with equal budgets share: their trials, and the best trial of each method.

A study's folder has a folder for each method, made by `unlearn -m search=METHOD`, with a folder for each trial.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate, cycle, product
from pathlib import Path
from typing import Any

import yaml

from experiments.study import Line, group_by, markdown
from unlearning.report.style import METHODS, Picture, picture

ENDED = ("finished", "failed", "ended early")
"""States of trials that count; one that was cut off at the end of the budget does not."""
SEARCHED = {
    "lr": ("optimizer", "lr"),
    "epochs": ("schedule", "epochs"),
    "chunk_rows": ("schedule", "chunk_rows"),
    "ceiling": ("objective", "forget_ceiling_nats"),
    "ceiling_unit": ("objective", "ceiling_unit"),
    "above_ceiling": ("objective", "above_ceiling"),
    "reduction": ("objective", "reduction"),
    "retain_weight": ("objective", "retain_weight"),
    "divergence_weight": ("objective", "divergence_weight"),
    "beta": ("objective", "beta"),
    "max_weight": ("objective", "max_weight"),
    "rank": ("scope", "rank"),
    "annealing_epochs": ("schedule", "annealing_epochs"),
    "retain_loss_eps": ("objective", "retain_loss_eps"),
    "dual_step_size": ("objective", "dual_step_size"),
    "trace_value": ("trace", "value"),
    "forget_weight": ("objective", "forget_weight"),
    "sam_radius": ("optimizer", "sam_radius"),
    "noise_share": ("noised_start", "share"),
    "step_lr": ("repselect", "lr"),
    "lora_lr": ("repselect", "lora_lr"),
    "directions": ("repselect", "directions"),
    "repetitions": ("repselect", "repetitions"),
    "most_kl": ("repselect", "most_kl_nats"),
}
"""Column -> where its value stands in a run's configuration; a method has some of them."""


def trials(folder: Path, scores: Sequence[str]) -> list[Line]:
    """Return a line for each trial that came to its end, the failed ones too, with these scores."""
    found = {_place(path.parent): path.parent for path in folder.glob("*/*/status.json")}
    lines = [_line(found[place], scores) for place in sorted(found)]
    return [line for line in lines if line["state"] in ENDED]


def _place(run: Path) -> tuple[str, int]:
    """Return method and number of a trial, whose folder is METHOD/NUMBER-NAME."""
    return run.parent.name, int(run.name.partition("-")[0])


def _line(run: Path, scores: Sequence[str]) -> Line:
    config = yaml.safe_load((run / "config.yaml").read_text())
    status = json.loads((run / "status.json").read_text())
    reached: dict[str, Any] = {}
    if status["state"] == "finished":
        reached = json.loads((run / "metrics.json").read_text())["unlearned"]
    method, number = _place(run)
    own = {"method": method, "trial": str(number), "seed": str(config["seed"]), "state": status["state"]}
    own |= {name: _cell((config.get(part) or {}).get(key)) for name, (part, key) in SEARCHED.items()}
    own |= {key: _cell(reached.get(key)) for key in scores}
    return own | {"seconds": f"{_seconds(run):.0f}"}


def _cell(value: float | str | None) -> str:
    """Return a number with four digits, and a word as it is."""
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.4g}"


def _seconds(run: Path) -> float:
    """Return how long a trial took: from its provenance, or, if it failed, between its first file and its last."""
    provenance = run / "provenance.json"
    if provenance.exists():
        return float(sum(json.loads(provenance.read_text())["stage_seconds"].values()))
    return (run / "status.json").stat().st_mtime - (run / "config.yaml").stat().st_mtime


def score(line: Line, key: str) -> float:
    """Return a score of a trial; 0 for one that failed, since it found nothing."""
    return float(line[key] or 0)


def best_trial(lines: Sequence[Line], key: str) -> Line:
    """Return the trial with the highest score."""
    return max(lines, key=lambda line: score(line, key))


def by_method(lines: Sequence[Line], key: str) -> dict[str, list[Line]]:
    """Return the trials by method, the method with the best trial first."""
    groups = {name: runs for (name,), runs in group_by(lines, "method").items()}
    return dict(sorted(groups.items(), key=lambda item: -score(best_trial(item[1], key), key)))


def columns(scores: Sequence[str]) -> dict[str, str]:
    """Return the columns of results.csv."""
    return {key: key for key in ("method", "trial", "seed", "state", *SEARCHED, *scores, "seconds")}


def table(lines: Sequence[Line], headings: Mapping[str, str]) -> str:
    """Return a row for each method: its budget, its best trial by the first score, and what the search chose in it.

    headings: score -> heading. What was the same in all trials of a method was not searched, and is not shown.
    """
    key, *_ = headings
    rows = []
    for name, runs in by_method(lines, key).items():
        best = best_trial(runs, key)
        failed = sum(line["state"] != "finished" for line in runs)
        minutes = sum(float(line["seconds"]) for line in runs) / 60
        searched = [column for column in SEARCHED if len({line[column] for line in runs}) > 1]
        numbers = ", ".join(f"{column.replace('_', ' ')} {best[column]}" for column in searched)
        scores = [f"{float(best[column]):.3f}" if best[column] else "" for column in headings]
        rows.append([f"`{name}`", f"{len(runs)}", f"{failed}", f"{minutes:.0f}", *scores, numbers])
    fixed = ["method", "trials", "ended early", "CPU minutes"]
    return markdown([*fixed, *headings.values(), "numbers of the best trial"], rows)


def answer(lines: Sequence[Line], headings: Mapping[str, str]) -> str:
    """Give the best score of each method, by the first of the scores."""
    (key, heading), *_ = headings.items()
    best = {name: (score(best_trial(runs, key), key), len(runs)) for name, runs in by_method(lines, key).items()}
    counts = {name: f"{count} trial{'' if count == 1 else 's'}" for name, (_, count) in best.items()}
    named = ", ".join(f"`{name}` {reached:.2f} ({counts[name]})" for name, (reached, _) in best.items())
    return f"best {heading} in equal CPU time: {named}."


def budget_picture(lines: Sequence[Line], headings: Mapping[str, str]) -> Picture:
    """Return the figure of the best score against the budget, by the first of the scores."""
    caption = "A dot is the end of a trial. Trials that ended early take less time and change nothing."
    return picture("budget", "Best score by budget", caption, (7.0, 3.8), lambda figure: draw(figure, lines, headings))


def draw(figure: Any, lines: Sequence[Line], headings: Mapping[str, str]) -> None:
    """Draw the best score so far over the CPU minutes that were spent."""
    (key, heading), *_ = headings.items()
    axis = figure.subplots()
    looks = cycle(product("os", METHODS))
    for (marker, colour), (name, runs) in zip(looks, by_method(lines, key).items(), strict=False):
        spent = list(accumulate(float(line["seconds"]) / 60 for line in runs))
        best = list(accumulate((score(line, key) for line in runs), max))
        axis.step([0, *spent], [0, *best], f"{marker}-", where="post", color=colour, markersize=4, label=name)
    axis.set(xlabel="CPU minutes, one thread", ylabel=f"best {heading}", ylim=(-0.03, 1.03))
    figure.legend(loc="outside right upper")
