"""Run the leaderboard's rows on a stand-in: `python experiments/semeval_standin/run.py [FOLDER] [--rows NAME ...]`.

The script writes a few official rows ($UNLEARNING_DATA) into FOLDER/rows. A small OLMo memorises them (target), and
another one memorises only their retain half (retrained). Then each row of the leaderboard runs on the target, with its
numbers for 1B, each learning rate of its grid and each seed. A run that is already there is not repeated. All scores go
to FOLDER/runs.csv, which `study.py` in this folder reads. `unlearn-report runs=FOLDER/runs` compares runs in detail.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from unlearning.artefacts import write_csv
from unlearning.data.ids import document_id
from unlearning.data.membership import read_documents
from unlearning.data.rows import Row, Split
from unlearning.data.semeval import SemevalReader

DOCUMENTS = {"Task1": 2, "Task2": 2, "Task3": 6}
"""Task -> number of its documents in each set, the first ones of the file.

Membership is measured on Task3, so there are more documents of it.
"""
SEEDS = (0, 1, 2)
NONMEMBERS = 50
"""Number of documents that are taken, the first ones, of the official 150."""
STANDIN = "semeval_standin"
ROWS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "ails_ntua": (["scope.layers='-2:'"], ("3e-4", "6e-4", "1e-3")),
    "sha256": (["scope.layers=0-1"], ("3e-3", "1e-2")),
    "zjuklab": ([], ("1e-3", "3e-3", "1e-2")),
    "snuffleupagus": (["objective.layer=3", "scope.layers=3"], ("1e-3", "5e-3")),
    "atyaephyra": ([], ("1e-3", "3e-3")),
    "grad_ascent": ([], ("3e-4", "1e-3")),
    "grad_diff": ([], ("1e-3", "3e-3")),
    "kl_min": ([], ("1e-3", "3e-3")),
    "npo": ([], ("1e-3", "3e-3")),
}
"""Row -> what depends on the size of the model: its layers and the learning rates of its grid.

The layers are at about the same part of 4 layers as the published ones are of 16.
"""
RUN = ("row", "lr", "seed", "state")
SCORES = (
    *("final", "task_aggregate", "mia_score", "utility"),
    *("forget_knowledge", "forget_regurgitation", "retain_knowledge", "retain_regurgitation", "mia_auc"),
)
COST = ("steps", "seconds")
COLUMNS = (*RUN, *SCORES, "mean_of_terms", *COST)
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "2000000000", "MALLOC_TRIM_THRESHOLD_": "3000000000"}
"""Environment that lets the process keep the memory of the logits between steps. It changes no result."""


def main() -> None:
    """Write the rows, make the target and the retrained model, then run all rows of the leaderboard."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?", default=Path("outputs/semeval_standin"))
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS))
    given = parser.parse_args()
    write_rows(given.folder / "rows")
    data = data_overrides(given.folder)
    for name, words in (("target", []), ("retrained", ["forget=false"])):
        scratch = [f"experiment={STANDIN}", *data, "model.path=null", "model.retrained=null", *words]
        run("unlearn-memorise", scratch, given.folder / name)
    for row in given.rows:
        for rate, seed in product(ROWS[row][1], SEEDS):
            run_row(row, rate, seed, given.folder)
    lines = [line for path in sorted(given.folder.glob("**/metrics.json")) for line in [result(path)]]
    write_csv(given.folder / "runs.csv", COLUMNS, lines)


def run_row(row: str, rate: str, seed: int, folder: Path) -> None:
    """Run one row with one learning rate and seed. ZJUKLAB's row is two adapters that are merged."""
    shared = [*data_overrides(folder), *model_overrides(folder), f"seed={seed}"]
    out = folder / "runs" / f"{row}-{rate}" / str(seed)
    if row != "zjuklab":
        run("unlearn", [*method_overrides(row, rate), *shared, "save_model=false"], out)
        return
    adapters = [folder / "adapters" / f"{row}_{part}-{rate}" / str(seed) for part in ("over", "under")]
    for adapter in adapters:
        name = adapter.parent.name.partition("-")[0]
        run("unlearn", [*method_overrides(name, rate), *shared, "evaluation.references=false"], adapter)
    merge = [f"adapters=[{','.join(map(str, adapters))}]", "combination=ties", "weights=[1,1]", "density=0.8"]
    run("unlearn-merge", [f"experiment={STANDIN}", *merge, *shared, "save_model=false"], out)


def method_overrides(row: str, rate: str) -> list[str]:
    """Return the overrides of a row: its configuration, the stand-in's, and what depends on the model's size."""
    overrides = ROWS[row.removesuffix("_over").removesuffix("_under")][0]
    return [f"experiment=[leaderboard/{row},{STANDIN}]", *overrides, f"optimizer.lr={rate}"]


def data_overrides(folder: Path) -> list[str]:
    """Return the overrides that name the written rows."""
    rows = folder / "rows"
    return [
        f"data.forget=[{rows}/forget.jsonl]",
        f"data.retain=[{rows}/retain.jsonl]",
        f"data.members={rows}/members.jsonl",
    ]


def model_overrides(folder: Path) -> list[str]:
    """Return the overrides that name the target and the retrained model."""
    return [
        f"model.path={folder}/target/model",
        f"model.retrained={folder}/retrained/model",
        f"cache_dir={folder}/cache",
    ]


def run(command: str, words: list[str], out: Path) -> None:
    """Run a command into a folder, unless the folder has scores already."""
    if (out / "metrics.json").exists():
        return
    whole = [str(Path(sys.executable).parent / command), *words, f"hydra.run.dir={out}"]
    done = subprocess.run(whole, env={**os.environ, "OMP_NUM_THREADS": "1", **MALLOC}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{out}: {done.stderr[-2000:]}")
    print(f"{out}: {result(out / 'metrics.json')[len(RUN)]:.3f}", flush=True)


def result(path: Path) -> list[Any]:
    """Return one line of runs.csv. Steps and seconds of ZJUKLAB's row are those of its adapters."""
    record = json.loads(path.read_text())
    out = path.parent
    seed = out.name if out.name.isdecimal() else ""  # target and retrained model have none
    row, _, rate = (out.parent if seed else out).name.partition("-")
    scores = record.get("unlearned") or record["memorised"]
    trained = [record["training"]]
    if row == "zjuklab":
        adapters = out.parents[2].glob(f"adapters/*-{rate}/{seed}/metrics.json")
        trained = [json.loads(other.read_text())["training"] for other in adapters]
    cost = [sum(one[key] for one in trained) for key in COST]
    return [row, rate, seed, "finished", *(scores[key] for key in SCORES), mean_of_terms(scores), *cost]


def mean_of_terms(scores: Mapping[str, float]) -> float:
    """Return the arithmetic mean of the 12 terms whose harmonic mean is the task aggregate.

    With so few rows a term is often exactly 0. Then the aggregate is 0 too and says nothing about the other terms.
    """
    terms = [
        1 - scores[f"{split}_{task}_{measure}"] if split is Split.FORGET else scores[f"{split}_{task}_{measure}"]
        for split in Split
        for task in DOCUMENTS
        for measure in ("regurgitation", "knowledge")
    ]
    return fmean(terms)


def write_rows(folder: Path) -> None:
    """Write the rows of the first documents of each set, and the documents for membership.

    Members are the texts of the Task3 documents of the forget set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    official = Path(os.environ["UNLEARNING_DATA"]) / "semeval25"
    others = read_documents(str(official / "mia_data" / "nonmember.jsonl"))[:NONMEMBERS]
    write_lines(folder / "nonmembers.jsonl", [{"id": other.id, "document": other.text} for other in others])
    for split in Split:
        path = official / "data" / f"{split}_train-00000-of-00001.parquet"
        rows = first_rows(located.row for located in SemevalReader().rows([str(path)], split))
        lines = [{key: str(getattr(row, key)) for key in ("id", "input", "output", "task")} for row in rows]
        write_lines(folder / f"{split}.jsonl", [{**line, "split": str(split)} for line in lines])
        if split is Split.FORGET:
            texts = [row for row in rows if row.task == "Task3" and row.id.endswith("sc1")]
            members = [{"id": document_id(row.id), "document": f"{row.input} {row.output}"} for row in texts]
            write_lines(folder / "members.jsonl", members)


def first_rows(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of the first documents of each task, in the order of the file."""
    kept: dict[str, set[str]] = {task: set() for task in DOCUMENTS}
    chosen = []
    for row in rows:
        documents = kept[row.task]
        name = document_id(row.id)
        if name in documents or len(documents) < DOCUMENTS[row.task]:
            documents.add(name)
            chosen.append(row)
    return chosen


def write_lines(path: Path, records: list[dict[str, str]]) -> None:
    """Write the records as JSON, one on each line."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


if __name__ == "__main__":
    main()
