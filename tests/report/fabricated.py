"""Run folders as `unlearn` leaves them, made up."""

import csv
import json
import math
import random
from pathlib import Path
from typing import Any

import yaml

from tests.report.fabricated_config import configuration, of_method
from tests.report.fabricated_results import evaluation_of
from tests.report.fabricated_trace import layers_text


def _curve(path: Path, method: str, seed: int, steps: int) -> None:
    source = random.Random(f"{method}{seed}")
    top = {"layer_freeze": 9.0, "chunked_lora": 5.0, "grad_ascent": 14.0}[method]
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        columns = "step,phase,lr,forget_loss_nats,retain_loss_nats,retain_weight,loss,gradient_norm,tokens"
        writer.writerow(columns.split(","))
        for step in range(steps):
            share = step / steps
            forget = 0.02 + top * share**2 + abs(source.gauss(0, 0.05 * top * share))
            retain = "" if method == "grad_ascent" else 0.05 + 0.9 * math.exp(-4 * abs(share - 0.3)) * source.random()
            weight = 1.0
            if method == "layer_freeze" and retain != "":
                weight = min(2.8, max(1.2, 0.3 * 6 ** float(retain) + 0.8))
            phase = step // 15 if method == "chunked_lora" else 0
            writer.writerow([step, phase, 1e-5 * (1 - share), forget, retain, weight, -forget, 1.0, 900])


def write_run(folder: Path, method: str = "layer_freeze", seed: int = 0, documents: int = 12) -> Path:
    """Write a finished run; about 12 answers a document and a split's share of three tasks."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(of_method(method, seed), sort_keys=False))
    (folder / "status.json").write_text(json.dumps({"state": "finished", "error": None, "resume": "unlearn ..."}))
    (folder / "evaluation").mkdir()
    metrics: dict[str, Any] = {"missing": [], "harness": {}}
    for model in ("target", "retrained", "unlearned"):
        evaluation = evaluation_of(*((method, seed) if model == "unlearned" else (model, 0)), documents)
        metrics[model] = evaluation["metrics"]
        (folder / "evaluation" / f"{model}.json").write_text(json.dumps(evaluation))
    metrics["training"] = {"seconds": 61.5 + 7 * seed, "steps": 120, "tokens": 108000, "rows": 3000}
    metrics["training"] |= {"stopped": None, "best_step": None}
    metrics["training"] |= {"trainable_parameters": 393216, "parameters": 1777664, "peak_memory_bytes": 913000000}
    metrics["trace"] = None
    if method == "layer_freeze":
        text = layers_text("coverage", 8)
        chosen = json.loads(text)
        metrics["trace"] = {key: chosen[key] for key in ("layers", "module", "rule")} | {"seconds": 12.3}
        (folder / "layers.json").write_text(text)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    _curve(folder / "loss_curve.csv", method, seed, 120)
    record = {
        "package": "0.1.0",
        "source": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
        "python": "3.11.7",
        "libraries": {"torch": "2.9.0", "transformers": "5.10.0"},
        "overrides": [f"method={method}", f"seed={seed}", "cache_dir=~/cache"],
        "device": "Two Cores @ 2.1 GHz",
        "seeds": {"run": seed, "world": 0, "trace": 0},
        "started": "2026-01-02T03:04:05+00:00",
        "ended": "2026-01-02T03:09:05+00:00",
        "stage_seconds": {"trace": 12.3, "train": 61.5, "evaluate": 40.1},
    }
    (folder / "provenance.json").write_text(json.dumps(record))
    return folder


def write_evaluated(folder: Path, beside: tuple[str, ...] = ("retrained",)) -> Path:
    """A run of `unlearn-evaluate model=olmo_1b`, and the models that were evaluated beside it."""
    label = "olmo_1b"
    (folder / "evaluation").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(configuration("evaluate", f"model={label}"), sort_keys=False))
    (folder / "status.json").write_text(json.dumps({"state": "running", "error": None, "resume": None}))
    for name in (label, *beside):
        evaluation = evaluation_of("layer_freeze" if name == label else name, 0, 4)
        (folder / "evaluation" / f"{name}.json").write_text(json.dumps(evaluation))
    metrics = {label: evaluation_of("layer_freeze", 0, 4)["metrics"], "missing": []}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def write_failed(folder: Path, state: str = "failed", error: str | None = "out of memory [2 GiB]") -> Path:
    """Write a run that stopped before its evaluation."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(of_method("grad_ascent", 0), sort_keys=False))
    resume = f"unlearn method=grad_ascent hydra.run.dir={folder.name}"
    status = {"state": state, "error": error, "resume": resume}
    (folder / "status.json").write_text(json.dumps(status))
    return folder


def make_runs(folder: Path) -> Path:
    """Write three methods, the first with three seeds, and a failed run."""
    for seed in range(3):
        write_run(folder / "layer_freeze" / f"seed{seed}", "layer_freeze", seed, documents=4)
    write_run(folder / "chunked_lora", "chunked_lora", documents=4)
    write_run(folder / "grad_ascent", "grad_ascent", documents=4)
    write_failed(folder / "failed")
    return folder
