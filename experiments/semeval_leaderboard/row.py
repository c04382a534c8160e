"""Repeat one row of the leaderboard: `python experiments/semeval_leaderboard/row.py NAME MODEL FOLDER [overrides]`.

Runs conf/experiment/leaderboard/NAME.yaml from the organisers' checkpoint MODEL (olmo_1b or olmo_7b) into
FOLDER/NAME_MODEL, and prints what was measured beside what was published. ZJUKLAB's row is two adapters, which are then
merged. A run that is already there is not repeated. The overrides (another trainer, another path of the model) go to
every command.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
NAMES = {
    "ails_ntua": "AILS-NTUA",
    "sha256": "SHA256",
    "zjuklab": "ZJUKLAB",
    "snuffleupagus": "Mr. Snuffleupagus",
    "atyaephyra": "Atyaephyra",
    "grad_ascent": "Gradient Ascent",
    "grad_diff": "Gradient Difference",
    "kl_min": "KL minimisation",
    "npo": "NPO",
}
"""Name of a row -> its name in published.csv."""
MODELS = {"olmo_1b": "1B", "olmo_7b": "7B"}
"""Name of a checkpoint -> its size in published.csv."""
KEYS = ("final", "task_aggregate", "mia_score", "utility")


def main(name: str, model: str, folder: Path, overrides: list[str]) -> None:
    """Run a row and print its scores beside the published ones."""
    out = folder / f"{name}_{model}"
    if name == "zjuklab":
        adapters = [folder / f"zjuklab_{part}_{model}" for part in ("over", "under")]
        for part, adapter in zip(("over", "under"), adapters, strict=True):
            run("unlearn", [f"experiment=leaderboard/zjuklab_{part}", f"model={model}", *overrides], adapter)
        merge = [f"adapters=[{','.join(map(str, adapters))}]", "combination=ties", "weights=[1,1]", "density=0.8"]
        where = [f"model={model}", "data=semeval25", "evaluation=official", "trainer=gpu"]
        run("unlearn-merge", [*where, *merge, *overrides], out)
    else:
        run("unlearn", [f"experiment=leaderboard/{name}", f"model={model}", *overrides], out)
    measured = json.loads((out / "metrics.json").read_text())["unlearned"]
    Console().print(comparison(out.name, measured, published(NAMES[name], MODELS[model])))


def run(command: str, words: list[str], out: Path) -> None:
    """Run a command of the package into a folder; a finished one says so and computes nothing."""
    subprocess.run([Path(sys.executable).parent / command, *words, f"hydra.run.dir={out}"], check=True)


def published(name: str, size: str) -> dict[str, str]:
    """Return the line of published.csv; an empty one where the row was never published."""
    with (HERE / "published.csv").open(newline="") as handle:
        lines = [line for line in csv.DictReader(handle) if (line["name"], line["model"]) == (name, size)]
    return lines[0] if lines else {}


def comparison(title: str, measured: dict[str, float | None], official: dict[str, str]) -> Table:
    """Return a table of the measured and the published scores; "-" stands for a score that is missing."""
    table = Table(title=title)
    for heading in ("", "measured", "published"):
        table.add_column(heading, justify="right" if heading else "left")
    for key in KEYS:
        value = measured[key]
        table.add_row(key, "-" if value is None else f"{value:.3f}", official.get(key, "-"))
    return table


if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[1] not in NAMES or sys.argv[2] not in MODELS:
        sys.exit(f"usage: row.py NAME MODEL FOLDER [overrides]; NAME: {', '.join(NAMES)}; MODEL: {', '.join(MODELS)}")
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
