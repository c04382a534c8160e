"""Plants facts in known blocks and asks every estimator where: `python experiments/planted_truth/run.py FOLDER`.

The gold model of the sandbox, which never saw the forget set, is fine-tuned on all rows with the MLPs of two blocks
free to move and all else frozen: whatever it knows of the forget set is in these blocks. Writes results.csv into the
folder, for tables.py. What is already there is not computed again.
"""

import json
import subprocess
import sys
from pathlib import Path

from unlearning.artefacts import write_csv
from unlearning.memorise import ASSETS

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
PLANT = ["recipe.epochs=30", "recipe.optimizer.lr=4e-3", "scope=blocks"]
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
    """All placements, seeds and estimators."""
    lines = []
    for planted in PLACEMENTS:
        for seed in SEEDS:
            place = folder / f"{planted[0]}-{planted[1]}-seed{seed}"
            blocks = f"scope.blocks='{planted[0]}-{planted[1]}'"
            start = [f"model.path={ASSETS / 'gold'}", f"recipe.seed={seed}", f"hydra.run.dir={place / 'model'}"]
            run("unlearn-memorise", [*COMMON, *PLANT, *start, blocks], place / "model" / "metrics.json")
            for name, words in ESTIMATORS.items():
                out = place / name.replace(", ", "-").replace(" ", "_")
                own = [f"model.path={place / 'model' / 'model'}", f"trace.base_model={ASSETS / 'gold'}"]
                own += [*words, "trace.facts=60", f"trace.seed={seed}", f"hydra.run.dir={out}"]
                run("unlearn-trace", [*COMMON, *own], out / "report.html")
                lines += results(planted, seed, name, json.loads((out / "layers.json").read_text()))
    write_csv(folder / "results.csv", COLUMNS, lines)


def run(command: str, words: list[str], made: Path) -> None:
    """Run a command of the package unless what it makes is there."""
    if not made.exists():
        subprocess.run([Path(sys.executable).parent / command, *words], check=True)


def results(planted: tuple[int, int], seed: int, name: str, layers: dict) -> list[tuple]:
    """A line for the estimator, and lines for the baselines beside the exchange of weights."""
    metric = next(item for item in layers["effects"] if item["metric"] == layers["metric"])
    wanted = {"kind": layers["module"], "window": 1, "severed": None}
    found = next(item for item in metric["restorations"] if item["restoration"] == wanted)
    means = found["effect"]["mean"]
    best, hits = largest_two(means, planted)
    placebo, placebo_hits = ("", "") if found["placebo"] is None else largest_two(found["placebo"]["mean"], planted)
    chosen = "" if layers["rule"] == "top_share" else blocks_text(layers["blocks"])
    effects = " ".join(f"{mean:.3f}" for mean in means)
    lines = [(blocks_text(planted), seed, name, chosen, best, hits, effects, placebo, placebo_hits)]
    if layers["mode"] == "weights":
        for rule in BASELINES:
            blocks = layers["baselines"][rule]
            line = (blocks_text(planted), seed, rule, "", blocks_text(blocks), len({*blocks} & {*planted}), "", "", "")
            lines.append(line)
    return lines


def largest_two(means: list[float], planted: tuple[int, int]) -> tuple[str, int]:
    """The two blocks of largest effect, and how many of them are planted."""
    best = sorted(range(len(means)), key=lambda block: (-means[block], block))[:2]
    return blocks_text(sorted(best)), len({*best} & {*planted})


def blocks_text(blocks: list[int] | tuple[int, ...]) -> str:
    """Such as "2 3"."""
    return " ".join(map(str, blocks))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
