"""All methods on the sandbox: `python experiments/methods/run.py FOLDER [--workers N] [--methods NAME ...]`.

For each method, seed 0 is run with each learning rate of its grid; the one with the highest final score is run with the
other seeds too. Then ZJUKLAB's two adapters of each seed are merged. What is already there is not run again, and a run
that failed is run again when its failed.txt is gone. All scores go to FOLDER/runs.csv, which `study.py` here takes.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from unlearning.artefacts import write_csv

SEEDS = (0, 1, 2)
TUNED = ("tuned",)
"""Learning rate of conf/tuned, found before this study."""
ALL_WEIGHTS = ("3e-4", "1e-3")
THREE = ("1e-4", *ALL_WEIGHTS)
RMU = ["objective.layer=3", "scope.layers=1-3", "schedule.epochs=10"]
METHODS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "layer_freeze": ([], TUNED),
    "chunked_lora": ([], TUNED),
    "grad_diff": ([], TUNED),
    "grad_ascent": ([], TUNED),
    "kl_min": ([], THREE),
    "npo": ([], THREE),
    "simnpo": ([], ALL_WEIGHTS),
    "dpo": ([], ALL_WEIGHTS),
    "idk": ([], ALL_WEIGHTS),
    "stat": ([], ALL_WEIGHTS),
    "undial": ([], ALL_WEIGHTS),
    "wga": ([], ALL_WEIGHTS),
    "satimp": ([], ALL_WEIGHTS),
    "ce_u": ([], ALL_WEIGHTS),
    "pdu": ([], ALL_WEIGHTS),
    "rmu": (RMU, ALL_WEIGHTS),
    "adaptive_rmu": (RMU, ALL_WEIGHTS),
    "alternating_lora": ([], ("1e-3",)),
    "atyaephyra": ([], ("1e-3",)),
    "task_arithmetic": ([], ("3e-4",)),
    "zjuklab_over": ([], ("1e-3",)),
    "zjuklab_under": ([], ("1e-3",)),
}
"""Overrides and learning rates of each method."""
MERGED, MERGED_RATE = "zjuklab", "merged"
"""Name of what is merged, and what stands in place of its learning rate."""
ADAPTERS = ("zjuklab_over", "zjuklab_under")
KEYS = ("final", "task_aggregate", "mia_score", "utility")
PARTS = ("forget_knowledge", "forget_regurgitation", "retain_knowledge", "retain_regurgitation")
COLUMNS = ("method", "lr", "seed", "state", *KEYS, *PARTS, "seconds")


def main() -> None:
    """Tune, run, merge, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--methods", nargs="*", choices=list(METHODS), default=list(METHODS))
    given = parser.parse_args()
    with ThreadPoolExecutor(given.workers) as pool:
        list(pool.map(lambda method: study(method, given.folder), given.methods))
    if set(ADAPTERS) <= set(given.methods):
        for seed in SEEDS:
            run("unlearn-merge", merge_words(seed, given.folder), place(MERGED, MERGED_RATE, seed, given.folder))
    write_runs(given.folder)


def study(method: str, folder: Path) -> None:
    """All runs of one method."""
    rates = METHODS[method][1]
    for rate in rates:
        run("unlearn", method_words(method, rate, 0), place(method, rate, 0, folder))
    best = max(rates, key=lambda rate: final(place(method, rate, 0, folder)))
    for seed in SEEDS[1:]:
        run("unlearn", method_words(method, best, seed), place(method, best, seed, folder))


def place(method: str, rate: str, seed: int, folder: Path) -> Path:
    """Where a run is."""
    return folder / method / f"lr-{rate}-seed-{seed}"


def method_words(method: str, rate: str, seed: int) -> list[str]:
    """Overrides of one run. Adapters that are to be merged are kept."""
    words = [f"method={method}", *METHODS[method][0]]
    words += [] if rate in TUNED else [f"optimizer.lr={rate}"]
    words += [] if method in ADAPTERS else ["save_model=false"]
    return [*words, *common_words(seed)]


def merge_words(seed: int, folder: Path) -> list[str]:
    """The two adapters of a seed, merged with ZJUKLAB's numbers."""
    adapters = [str(place(method, METHODS[method][1][0], seed, folder)) for method in ADAPTERS]
    how = ["combination=ties", "weights=[1,1]", "density=0.8"]
    return [f"adapters=[{','.join(adapters)}]", *how, "save_model=false", *common_words(seed)]


def common_words(seed: int) -> list[str]:
    """Target and retrained model are not scored again in each run."""
    return [f"seed={seed}", "logger=none", "evaluation.references=false"]


def run(command: str, words: list[str], out: Path) -> None:
    """A command into a folder, unless its scores are there or it is known to fail."""
    if (out / "metrics.json").exists() or (out / "failed.txt").exists():
        return
    whole = [str(Path(sys.executable).parent / command), *words, f"hydra.run.dir={out}"]
    done = subprocess.run(whole, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        out.mkdir(parents=True, exist_ok=True)
        (out / "failed.txt").write_text(done.stderr[-2000:])
    print(f"{out}: {done.stderr[-500:] if done.returncode else f'{final(out):.3f}'}", flush=True)


def final(folder: Path) -> float:
    """The final score; below all others where a run failed."""
    path = folder / "metrics.json"
    return float(json.loads(path.read_text())["unlearned"]["final"]) if path.exists() else -1.0


def write_runs(folder: Path) -> None:
    """All that is in the folder, as runs.csv."""
    places = {path.parent for name in ("metrics.json", "failed.txt") for path in folder.glob(f"*/*/{name}")}
    lines = [result(place) for place in sorted(places)]
    write_csv(folder / "runs.csv", COLUMNS, lines)


def result(place: Path) -> list[str]:
    """One line of runs.csv. Of a merging the seconds are its own, not those of its adapters."""
    rate, _, seed = place.name.removeprefix("lr-").partition("-seed-")
    run = [place.parent.name, rate, seed]
    if not (place / "metrics.json").exists():
        return [*run, "failed", *[""] * (len(COLUMNS) - len(run) - 1)]
    metrics = json.loads((place / "metrics.json").read_text())
    numbers = [f"{metrics['unlearned'][key]:.4f}" for key in (*KEYS, *PARTS)]
    return [*run, "finished", *numbers, f"{metrics['training']['seconds']:.0f}"]


if __name__ == "__main__":
    main()
