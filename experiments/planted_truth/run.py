"""Plant facts in known layers and trace them in every way: `python experiments/planted_truth/run.py FOLDER`.

The retrained model of the sandbox, which never saw the forget set, is fine-tuned on all rows. Only the MLPs of two
layers may move: whatever the model then knows of the forget set is in these layers. The script writes results.csv into
the folder, where tables.py reads it. What is already there is not computed again.
"""

import json
import subprocess
import sys
from pathlib import Path

from unlearning.artefacts import write_csv
from unlearning.commands.stages.sandbox_models import ASSETS

PLACEMENTS = ((0, 1), (2, 3), (4, 5), (6, 7))
SEEDS = (0, 1)
ESTIMATORS = {
    "noise": ["trace.severed=[]"],
    "replacement": ["trace=replacement", "trace.severed=[]"],
    "base model, denoising": ["trace=base_model", "trace.severed=[]"],
    "base model, noising": ["trace=base_model", "trace.severed=[]", "trace.direction=noising"],
    "weights, noising": ["trace=weights", "trace.rule=top_share", "trace.value=0.25"],
}
BASELINES = ("gradient", "fisher", "first", "middle", "last", "random")
PLANT = ["recipe.epochs=30", "recipe.optimizer.lr=4e-3", "scope=layers"]
COMMON = ["model=local", "data.max_documents_per_task=12", "logger=none"]
COLUMNS = (
    "planted",
    "seed",
    "estimator",
    "chosen",
    "largest_two",
    "hits",
    "effects",
    "placebo_largest_two",
    "placebo_hits",
)


def main(folder: Path) -> None:
    """Plant and trace with all placements, seeds and estimators, and write results.csv."""
    lines = []
    for planted in PLACEMENTS:
        for seed in SEEDS:
            place = folder / f"{planted[0]}-{planted[1]}-seed{seed}"
            layers = f"scope.layers='{planted[0]}-{planted[1]}'"
            start = [f"model.path={ASSETS / 'retrained'}", f"recipe.seed={seed}", f"hydra.run.dir={place / 'model'}"]
            run("unlearn-memorise", [*COMMON, *PLANT, *start, layers], place / "model" / "metrics.json")
            for name, words in ESTIMATORS.items():
                out = place / name.replace(", ", "-").replace(" ", "_")
                own = [f"model.path={place / 'model' / 'model'}", f"trace.base_model={ASSETS / 'retrained'}"]
                own += [*words, "trace.facts=60", f"trace.seed={seed}", f"hydra.run.dir={out}"]
                run("unlearn-trace", [*COMMON, *own], out / "report.html")
                lines += results(planted, seed, name, json.loads((out / "layers.json").read_text()))
    write_csv(folder / "results.csv", COLUMNS, lines)


def run(command: str, words: list[str], made: Path) -> None:
    """Run a command of the package unless the file that it makes is already there."""
    if not made.exists():
        subprocess.run([Path(sys.executable).parent / command, *words], check=True)


def results(planted: tuple[int, int], seed: int, name: str, selection: dict) -> list[tuple]:
    """Return the estimator's line from its layers.json, and those of the baselines if it exchanges weights."""
    metric = next(item for item in selection["effects"] if item["metric"] == selection["metric"])
    wanted = {"kind": selection["module"], "window": 1, "severed": None}
    found = next(item for item in metric["restorations"] if item["restoration"] == wanted)
    means = found["effect"]["mean"]
    best, hits = largest_two(means, planted)
    placebo, placebo_hits = ("", "") if found["placebo"] is None else largest_two(found["placebo"]["mean"], planted)
    chosen = "" if selection["rule"] == "top_share" else layers_text(selection["layers"])
    effects = " ".join(f"{mean:.3f}" for mean in means)
    lines = [(layers_text(planted), seed, name, chosen, best, hits, effects, placebo, placebo_hits)]
    if selection["mode"] == "weights":
        for rule in BASELINES:
            layers = selection["baselines"][rule]
            line = (layers_text(planted), seed, rule, "", layers_text(layers), len({*layers} & {*planted}), "", "", "")
            lines.append(line)
    return lines


def largest_two(means: list[float], planted: tuple[int, int]) -> tuple[str, int]:
    """Return the two layers of largest effect, and how many of them are planted."""
    best = sorted(range(len(means)), key=lambda layer: (-means[layer], layer))[:2]
    return layers_text(sorted(best)), len({*best} & {*planted})


def layers_text(layers: list[int] | tuple[int, ...]) -> str:
    """Return the layers as text, such as "2 3"."""
    return " ".join(map(str, layers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
