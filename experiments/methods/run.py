"""Run all methods on the sandbox: `python experiments/methods/run.py FOLDER [--workers N] [--methods NAME ...]`.

Each method runs on seed 0 with each learning rate of its grid. The rate with the highest final score then runs on the
other seeds too. Then ZJUKLAB's two adapters of each seed are merged. A run that is already there is not repeated, and
a run that failed is repeated only after its failed.txt has been removed. All scores go to FOLDER/runs.csv, which
`study.py` in this folder reads.
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
"""Stands for the learning rate in conf/tuned/, which was found before this study."""
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
"""Method -> its overrides, and the learning rates of its grid."""
MERGED, MERGED_RATE = "zjuklab", "merged"
"""Name of the merged method, and what stands in place of its learning rate."""
ADAPTERS = ("zjuklab_over", "zjuklab_under")
KEYS = ("final", "task_aggregate", "mia_score", "utility")
PARTS = ("forget_knowledge", "forget_regurgitation", "retain_knowledge", "retain_regurgitation")
COLUMNS = ("method", "lr", "seed", "state", *KEYS, *PARTS, "seconds")


def main() -> None:
    """Run all methods, merge the adapters and write runs.csv."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--methods", nargs="*", choices=list(METHODS), default=list(METHODS))
    given = parser.parse_args()
    with ThreadPoolExecutor(given.workers) as pool:
        list(pool.map(lambda method: run_method(method, given.folder), given.methods))
    if set(ADAPTERS) <= set(given.methods):
        for seed in SEEDS:
            run(
                "unlearn-merge",
                merge_overrides(seed, given.folder),
                run_folder(MERGED, MERGED_RATE, seed, given.folder),
            )
    write_runs(given.folder)


def run_method(method: str, folder: Path) -> None:
    """Run one method with all its learning rates, and the best of them with all seeds."""
    rates = METHODS[method][1]
    for rate in rates:
        run("unlearn", method_overrides(method, rate, 0), run_folder(method, rate, 0, folder))
    best = max(rates, key=lambda rate: final(run_folder(method, rate, 0, folder)))
    for seed in SEEDS[1:]:
        run("unlearn", method_overrides(method, best, seed), run_folder(method, best, seed, folder))


def run_folder(method: str, rate: str, seed: int, folder: Path) -> Path:
    """Return the folder of a run."""
    return folder / method / f"lr-{rate}-seed-{seed}"


def method_overrides(method: str, rate: str, seed: int) -> list[str]:
    """Return the overrides of one run. Only the adapters that are to be merged are saved."""
    words = [f"method={method}", *METHODS[method][0]]
    words += [] if rate in TUNED else [f"optimizer.lr={rate}"]
    words += [] if method in ADAPTERS else ["save_model=false"]
    return [*words, *common_overrides(seed)]


def merge_overrides(seed: int, folder: Path) -> list[str]:
    """Return the overrides that merge the two adapters of a seed with ZJUKLAB's numbers."""
    adapters = [str(run_folder(method, METHODS[method][1][0], seed, folder)) for method in ADAPTERS]
    how = ["combination=ties", "weights=[1,1]", "density=0.8"]
    return [f"adapters=[{','.join(adapters)}]", *how, "save_model=false", *common_overrides(seed)]


def common_overrides(seed: int) -> list[str]:
    """Return the overrides of every run. Target and retrained model are not scored again in each one."""
    return [f"seed={seed}", "logger=none", "evaluation.references=false"]


def run(command: str, words: list[str], out: Path) -> None:
    """Run a command into a folder, unless the folder has scores already or the run is known to fail."""
    if (out / "metrics.json").exists() or (out / "failed.txt").exists():
        return
    whole = [str(Path(sys.executable).parent / command), *words, f"hydra.run.dir={out}"]
    done = subprocess.run(whole, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        out.mkdir(parents=True, exist_ok=True)
        (out / "failed.txt").write_text(done.stderr[-2000:])
    print(f"{out}: {done.stderr[-500:] if done.returncode else f'{final(out):.3f}'}", flush=True)


def final(folder: Path) -> float:
    """Return the final score of a run, and -1 if it failed, which is below all others."""
    path = folder / "metrics.json"
    return float(json.loads(path.read_text())["unlearned"]["final"]) if path.exists() else -1.0


def write_runs(folder: Path) -> None:
    """Write runs.csv with a line for each run in the folder."""
    folders = {path.parent for name in ("metrics.json", "failed.txt") for path in folder.glob(f"*/*/{name}")}
    lines = [result(run) for run in sorted(folders)]
    write_csv(folder / "runs.csv", COLUMNS, lines)


def result(folder: Path) -> list[str]:
    """Return the cells of one run for runs.csv. The seconds of a merge leave out those of its adapters."""
    rate, _, seed = folder.name.removeprefix("lr-").partition("-seed-")
    run = [folder.parent.name, rate, seed]
    if not (folder / "metrics.json").exists():
        return [*run, "failed", *[""] * (len(COLUMNS) - len(run) - 1)]
    metrics = json.loads((folder / "metrics.json").read_text())
    numbers = [f"{metrics['unlearned'][key]:.4f}" for key in (*KEYS, *PARTS)]
    return [*run, "finished", *numbers, f"{metrics['training']['seconds']:.0f}"]


if __name__ == "__main__":
    main()
