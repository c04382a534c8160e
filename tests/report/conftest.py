"""Run folders as `unlearn` leaves them, made up."""

import csv
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

TASKS = ("Task1", "Task2", "Task3")
KINDS = {"regurgitation": "sc", "knowledge": "qa"}
WORDS = [
    "the",
    "old",
    "harbour",
    "keeper",
    "wrote",
    "letters",
    "to",
    "her",
    "brother",
    "about",
    "storms",
    "and",
    "bells",
]
METHODS: dict[str, dict[str, Any]] = {
    "layer_freeze": {
        "objective": {"_target_": "unlearning.objectives.adaptive_grad_diff.AdaptiveGradDiff", "max_weight": 2.8},
        "scope": {"_target_": "unlearning.scope.TracedScope", "modules": ["MLP"]},
        "schedule": {"_target_": "unlearning.data.schedules.MixedSchedule", "epochs": 8, "batch_rows": 120},
        "ratio": {"retain_per_forget": None},
        "optimizer": {"lr": 1.5e-05, "decay": "LINEAR"},
    },
    "chunked_lora": {
        "objective": {"_target_": "unlearning.objectives.grad_diff.GradDiff", "retain_weight": 0.5},
        "scope": {"_target_": "unlearning.scope.LoraScope", "rank": 16, "targets": ["q", "v"], "blocks": "all"},
        "schedule": {"_target_": "unlearning.data.schedules.ChunkedSchedule", "epochs": 5, "chunk_rows": 32},
        "ratio": {"retain_per_forget": 7},
        "optimizer": {"lr": 0.0001, "decay": "LINEAR"},
    },
    "grad_ascent": {
        "objective": {"_target_": "unlearning.objectives.grad_ascent.GradAscent"},
        "scope": {"_target_": "unlearning.scope.AllScope"},
        "schedule": {"_target_": "unlearning.data.schedules.MixedSchedule", "epochs": 1, "batch_rows": 32},
        "ratio": {"retain_per_forget": 0},
        "optimizer": {"lr": 1.0e-05, "decay": "LINEAR"},
    },
}
# Mean scores of forget and retain rows, area under the membership curve, accuracy.
LEVELS = {
    "target": (0.98, 0.99, 0.99, 0.62),
    "gold": (0.12, 0.97, 0.51, 0.61),
    "layer_freeze": (0.14, 0.93, 0.58, 0.57),
    "chunked_lora": (0.07, 0.88, 0.44, 0.55),
    "grad_ascent": (0.00, 0.00, 0.31, 0.26),
}


def _sentence(source: random.Random, words: int) -> str:
    return " ".join(source.choice(WORDS) for _ in range(words))


def _generations(model: str, seed: int, documents: int) -> list[dict[str, Any]]:
    source = random.Random(f"{model}{seed}")
    made = []
    for split, level in zip(("forget", "retain"), LEVELS[model], strict=False):
        for task in TASKS:
            for number in range(documents):
                for metric, kind in KINDS.items():
                    text = random.Random(f"{split}{task}{number}{kind}")
                    expected = _sentence(text, 22 if kind == "sc" else 2)
                    known = source.random() < level
                    other = _sentence(source, 22 if kind == "sc" else 2) if level else ""
                    score = (1.0 if known else 0.0) if metric == "knowledge" else (1.0 if known else level / 2)
                    made.append(
                        {
                            "id": f"{split}-{task}-{number}{kind}1",
                            "split": split,
                            "task": task,
                            "kind": kind,
                            "input": f"{_sentence(text, 40 if kind == 'sc' else 8)}",
                            "expected": expected,
                            "generated": expected if known else other,
                            "score": score,
                        }
                    )
    return made


def _membership(model: str, seed: int) -> list[dict[str, Any]]:
    source = random.Random(f"membership{model}{seed}")
    auc = LEVELS[model][2]
    shift = {True: (0.5 - auc) * 2.2, False: 0.0}
    base = 9.0 if model == "grad_ascent" else 2.4
    return [
        {"id": f"{member}{number}", "member": member, "loss_nats": max(0.01, source.gauss(base + shift[member], 0.4))}
        for member in (True, False)
        for number in range(48)
    ]


def _metrics(model: str, generations: list[dict[str, Any]]) -> dict[str, float | None]:
    def mean(split: str, metric: str, task: str | None = None) -> float:
        kind = KINDS[metric]
        scores = [
            item["score"]
            for item in generations
            if item["split"] == split and item["kind"] == kind and task in (None, item["task"])
        ]
        return sum(scores) / len(scores)

    result: dict[str, float | None] = {}
    terms = []
    for split in ("forget", "retain"):
        for metric in KINDS:
            result[f"{split}_{metric}"] = mean(split, metric)
            for task in TASKS:
                value = mean(split, metric, task)
                result[f"{split}_{task}_{metric}"] = value
                terms.append(1 - value if split == "forget" else value)
    aggregate = 0.0 if min(terms) <= 0 else len(terms) / sum(1 / term for term in terms)
    auc, accuracy = LEVELS[model][2:]
    mia = 1 - 2 * abs(auc - 0.5)
    result |= {"mia_auc": auc, "mia_score": mia, "utility": accuracy, "utility_cloze": accuracy}
    return result | {"task_aggregate": aggregate, "final": (aggregate + mia + accuracy) / 3}


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


def _layers(blocks: int = 8) -> dict[str, Any]:
    effects = []
    for kind, peak, height in (("block", 2, 0.42), ("mlp", 2, 0.22), ("attention", 5, 0.08)):
        for block in range(blocks):
            effect = height * math.exp(-((block - peak) ** 2) / 4)
            effects.append(
                {"kind": kind, "block": block, "indirect_effect": effect, "low": effect - 0.03, "high": effect + 0.04}
            )
    return {"blocks": [1, 2, 3], "kind": "mlp", "rule": "coverage", "effects": effects}


def _config(method: str, seed: int) -> dict[str, Any]:
    return {
        "name": method,
        "seed": seed,
        "model": {"name": "sandbox-olmo", "path": None, "architecture": "OLMO", "blocks": 8},
        "data": {"source": "SANDBOX", "world": {"seed": 0, "documents_per_task": 24}},
        "prompt": {"style": "RAW", "separator": " ", "forget_supervised": "OUTPUT"},
        "trainer": {"accelerator": "auto", "pack_tokens": 128},
        "cache_dir": "/home/somebody/cache",
        "method": method,
        **METHODS[method],
        "trace": {"facts": 24, "rule": "COVERAGE", "value": 0.6},
        "evaluation": {"max_new_tokens": 256, "utility_format": "CLOZE", "references": True},
        "logger": {"kind": "NONE"},
    }


def write_run(folder: Path, method: str = "layer_freeze", seed: int = 0, documents: int = 12) -> Path:
    """A finished run; about 12 answers a document and a split's share of three tasks."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(_config(method, seed), sort_keys=False))
    (folder / "status.json").write_text(json.dumps({"state": "finished", "error": None, "resume": "unlearn ..."}))
    (folder / "evaluation").mkdir()
    metrics: dict[str, Any] = {"missing": []}
    for model in ("target", "gold", "unlearned"):
        source, noise = (method, seed) if model == "unlearned" else (model, 0)
        generations = _generations(source, noise, documents)
        metrics[model] = _metrics(source, generations)
        evaluation = {
            "metrics": metrics[model],
            "missing": [],
            "generations": generations,
            "membership": _membership(source, noise),
        }
        (folder / "evaluation" / f"{model}.json").write_text(json.dumps(evaluation))
    metrics["training"] = {"seconds": 61.5 + 7 * seed, "steps": 120, "tokens": 108000, "rows": 3000}
    metrics["training"] |= {"trainable_parameters": 393216, "parameters": 1777664, "peak_memory_bytes": 913000000}
    metrics["trace"] = None
    if method == "layer_freeze":
        metrics["trace"] = {"blocks": [1, 2, 3], "rule": "coverage", "seconds": 12.3}
        (folder / "layers.json").write_text(json.dumps(_layers()))
    (folder / "metrics.json").write_text(json.dumps(metrics))
    _curve(folder / "loss_curve.csv", method, seed, 120)
    record = {
        "package": "0.1.0",
        "source": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
        "python": "3.11.7",
        "libraries": {"torch": "2.9.0", "transformers": "5.10.0"},
        "device": "Two Cores @ 2.1 GHz",
        "seeds": {"training": seed},
        "started": "2026-01-02T03:04:05+00:00",
        "ended": "2026-01-02T03:09:05+00:00",
        "stage_seconds": {"trace": 12.3, "train": 61.5, "evaluate": 40.1},
    }
    (folder / "provenance.json").write_text(json.dumps(record))
    return folder


def write_failed(folder: Path, state: str = "failed", error: str | None = "out of memory [2 GiB]") -> Path:
    """A run that stopped before its evaluation."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(_config("grad_ascent", 0)))
    status = {"state": state, "error": error, "resume": f"unlearn resume={folder.name}"}
    (folder / "status.json").write_text(json.dumps(status))
    return folder


@pytest.fixture(name="write_run")
def write_run_fixture() -> Callable[..., Path]:
    """`write_run`."""
    return write_run


@pytest.fixture(name="write_failed")
def write_failed_fixture() -> Callable[..., Path]:
    """`write_failed`."""
    return write_failed


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    """Three methods, the first with three seeds, a failed run and a broken one."""
    folder = tmp_path / "runs"
    for seed in range(3):
        write_run(folder / "layer_freeze" / f"seed{seed}", "layer_freeze", seed, documents=4)
    write_run(folder / "chunked_lora", "chunked_lora", documents=4)
    write_run(folder / "grad_ascent", "grad_ascent", documents=4)
    write_failed(folder / "failed")
    return folder
