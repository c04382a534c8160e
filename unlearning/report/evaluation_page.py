"""What the page of `unlearn-evaluate` says: which model it is about, and which stand beside it."""

from pathlib import Path
from typing import Any

from unlearning.errors import InputError
from unlearning.report.details import read_evaluation, read_provenance
from unlearning.report.evaluation_view import Scored, evaluation_view, utility_format
from unlearning.report.grouping import flatten
from unlearning.report.runs import read_mapping, read_run
from unlearning.report.style import METHODS, RETRAINED, TARGET
from unlearning.runs.provenance import without_home

_BESIDE = {"target": ("untouched target", TARGET), "retrained": ("retrained model", RETRAINED)}


def evaluation_page(run_dir: Path) -> dict[str, Any]:
    """The template's values. Raises InputError where the folder is no run, or holds no evaluation."""
    run = read_run(run_dir)
    models = evaluated_models(run_dir)
    main = models[0]
    target = next((item for item in models[1:] if item.colour == TARGET), None)
    return {
        "title": f"Evaluation: {main.label}",
        "finding": finding(models),
        "view": evaluation_view(models, main, target, utility_format(run.config)),
        "settings": sorted(flatten(without_home(run.config)).items()),
        "provenance": list(flatten(without_home(read_provenance(run_dir))).items()),
    }


def evaluated_models(run_dir: Path) -> list[Scored]:
    """The first model of metrics.json that has an evaluation/LABEL.json, then the others in evaluation/."""
    named = read_mapping(run_dir / "metrics.json")
    found = [path.stem for path in sorted((run_dir / "evaluation").glob("*.json"))]
    ordered = [label for label in named if label in found]
    if not ordered:
        raise InputError(f"{run_dir / 'metrics.json'}: names no model of {run_dir / 'evaluation'}")
    models: list[Scored] = []
    for label in dict.fromkeys([ordered[0], *found]):
        if (result := read_evaluation(run_dir, label)) is not None:
            name, colour = _BESIDE.get(label, (label, METHODS[len(models) % len(METHODS)]))
            models.append(Scored(name, colour, result, "Answer" if label == ordered[0] else name))
    if not models:
        raise InputError(f"{run_dir / 'evaluation'}: no evaluation of this version in it")
    return models


def finding(models: list[Scored]) -> str:
    """The final score in one sentence."""
    main = models[0]
    final = main.result.metrics.get("final")
    if final is None:
        return f"{main.label} has no final score: parts of it could not be measured."
    interval = main.result.intervals.get("final")
    sure = f" (95% interval {interval[0]:.2f} to {interval[1]:.2f})" if interval else ""
    return f"{main.label} has a final score of {final:.3f}{sure}."
