"""A multirun, made up: two methods, three learning rates, three seeds."""

import json
import random
from pathlib import Path
from typing import Any

import yaml

from tests.report.fabricated import write_failed, write_run

RATES = (1e-05, 0.00012480743326331826, 0.001)
# How a learning rate moves a method's task aggregate, membership score and utility.
EFFECTS = {1e-05: (-0.35, -0.2, 0.03), 0.00012480743326331826: (0.0, 0.05, 0.0), 0.001: (0.04, 0.2, -0.22)}


def write_job(folder: Path, method: str, rate: float, seed: int) -> Path:
    """Write a finished run whose scores depend on method, rate and seed."""
    write_run(folder, method, seed, documents=2)
    change_config(folder, "optimizer", lr=rate)
    path = folder / "metrics.json"
    metrics = json.loads(path.read_text())
    source = random.Random(f"{method}{rate}{seed}")
    found = metrics["unlearned"]
    for key, effect in zip(("task_aggregate", "mia_score", "utility"), EFFECTS[rate], strict=True):
        found[key] = min(1.0, max(0.0, found[key] + effect + source.gauss(0, 0.02)))
    share = {1e-05: 3.0, 0.001: 0.4}.get(rate, 1.0)
    for key in ("forget_regurgitation", "forget_knowledge"):
        found[key] = min(1.0, share * found[key] + 0.05 * source.random())
    for key in ("retain_regurgitation", "retain_knowledge"):
        found[key] = max(0.0, found[key] * (0.8 if rate == 0.001 else 1.0) - 0.03 * source.random())
    found["final"] = (found["task_aggregate"] + found["mia_score"] + found["utility"]) / 3
    path.write_text(json.dumps(metrics))
    return folder


def make_sweep(folder: Path, seeds: int = 3) -> Path:
    """Write 2 x 3 x `seeds` jobs, numbered as Hydra numbers them."""
    jobs = [
        (method, rate, seed) for method in ("layer_freeze", "chunked_lora") for rate in RATES for seed in range(seeds)
    ]
    for number, (method, rate, seed) in enumerate(jobs):
        write_job(folder / f"{number}-{method}", method, rate, seed)
    return folder


def add_troubles(folder: Path) -> Path:
    """To a sweep: one job that stopped early, one that diverged, one without memory, one that still runs."""
    stopped = min(folder.glob("*-chunked_lora"), key=lambda job: int(job.name.partition("-")[0]))
    change_metrics(stopped, "training", stopped="collapse", best_step=12)
    for number, (state, error) in enumerate(
        (
            ("failed", "training diverged at step 31: the loss is nan"),
            ("failed", "CUDA out of memory"),
            ("running", None),
        )
    ):
        job = write_failed(folder / f"{90 + number}-grad_ascent", state, error)
        config = yaml.safe_load((stopped / "config.yaml").read_text())
        if number == 0:
            (job / "config.yaml").write_text(yaml.safe_dump({**config, "seed": 7}))
        else:
            change_config(job, "optimizer", lr=RATES[number])
    return folder


def change_config(folder: Path, part: str, **values: Any) -> None:
    """Change one part of a run's configuration."""
    path = folder / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config[part] = {**config.get(part, {}), **values}
    path.write_text(yaml.safe_dump(config))


def change_metrics(folder: Path, part: str, **values: Any) -> None:
    """Change one part of a run's metrics.json."""
    path = folder / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics[part] = {**metrics[part], **values}
    path.write_text(json.dumps(metrics))
