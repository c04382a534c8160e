"""Memorise official documents with a pretrained model and unlearn them: `python -m experiments.real_models.run FOLDER`.

It needs the official data ($UNLEARNING_DATA), and gets the weights by `experiments.real_models.fetch` if they are not
there. It scores the pretrained model, makes target and retrained model, then a run for each method and seed, and
compares them at the end. A step that is finished is not repeated, and one that was interrupted goes on where it was.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pyarrow import parquet

from experiments.real_models.fetch import FOLDER as FETCHED
from experiments.real_models.fetch import SOURCES
from unlearning.artefacts import write_text
from unlearning.data.ids import kind_of
from unlearning.data.rows import Kind

EPOCHS = 10
BATCH = "recipe.batch_rows=8"
RECIPES = {
    "smollm2_135m": [BATCH, "recipe.optimizer.lr=2e-4", "recipe.optimizer.warmup_steps=5"],
    "gemma3_270m": [
        *(BATCH, "recipe.optimizer.lr=1.5e-4", "recipe.optimizer.warmup_steps=20"),
        *("scope=layers", "scope.layers=all", "scope.modules=[layer]"),
    ],
}
"""How each model memorises. Gemma's embeddings stay: of 262,144 tokens, their gradient takes longer than all layers."""
WHOLE = "all"
"""In place of a number of documents: the whole official fold."""
WHOLE_RECIPES = {"smollm2_135m": ["recipe.optimizer.lr=3e-4", "recipe.optimizer.warmup_steps=20"]}
"""What the whole fold changes in how a model memorises, so that it knows more dates and numbers by heart."""
MIXED_PRECISION = "trainer.precision=bf16-mixed"
"""How Gemma trains, and any model on the whole fold. On a processor with instructions for bfloat16 it takes 0.7 of the
time (benchmarks/precision.py)."""
SCORED = ["evaluation=semeval", "evaluation.shots=0", "evaluation.max_questions=114"]
"""MMLU's letters are at chance in models of this size, so few questions are asked: two of each subject."""
DOCUMENTS = ["prompt.forget_supervised=document", "prompt.retain_supervised=document"]
"""Membership is of whole documents, so whole documents are unlearned."""
ROWS = "schedule.batch_rows=16"
FREEZE = ["method=layer_freeze_mlp_0_5", "tuned=none", *DOCUMENTS, ROWS]
BY_TOKENS = [*FREEZE, "objective.reduction=token"]
TOKENS_TURN = ["objective.reduction=token", "objective.ceiling_unit=token", "objective.above_ceiling=turn"]
AT_2_7 = [*BY_TOKENS, "objective.forget_ceiling_nats=2.7", "optimizer.lr=1.2e-3", "schedule.epochs=10"]
CHUNKS = ["method=chunked_lora", "tuned=none", *DOCUMENTS, "ratio=1to1"]
LORA_BY_ROWS = [
    *(*CHUNKS, "prompt.append_eos=true", "objective.retain_weight=3"),
    *("optimizer.lr=1.5e-3", "optimizer.warmup_steps=3", "schedule.epochs=8"),
]
LORA = [*LORA_BY_ROWS, "objective.reduction=token"]
TWO_CHUNKS, ONE_CHUNK = "schedule.chunk_rows=20", "schedule.chunk_rows=40"
LAST_K = [
    *("method=chunked_last_k", *DOCUMENTS, "prompt.append_eos=true", "objective.reduction=token"),
    *("objective.retain_weight=3", "objective.above_ceiling=turn", "optimizer.lr=3e-4", "optimizer.warmup_steps=3"),
    *("ratio=1to1", "schedule.epochs=8", ONE_CHUNK),
]
LORA_16_ROWS = ["method=chunked_lora", "objective.retain_weight=3", ROWS]
FOLLOWS = "objective.ceiling_follows_unseen=true"
FOLLOWING = [FOLLOWS, "stopping.keep_best=false"]
"""The ceiling is not searched: checks move it to where documents of the official train fold are (`unseen_rows`)."""
TRAIN_FOLD, FIELDS = "semeval25/data/forget_train-00000-of-00001.parquet", ("id", "input", "output", "task")
UNSEEN_DOCUMENTS = 34
"""As many as the membership test has on the whole validation fold; the test's own documents are others."""
AT_3_3, AT_5, AT_5_2 = (f"objective.forget_ceiling_nats={nats}" for nats in ("3.3", "5", "5.2"))
METHODS = {
    # The numbers that were found: conf/tuned/auto/smollm2_135m_METHOD.yaml. Tokens above the ceiling turn back.
    "layer_freeze_mlp_0_5": ["method=layer_freeze_mlp_0_5"],
    "chunked_lora": ["method=chunked_lora"],
    "lasting": ["method=lasting"],
    # The same on more documents (--documents 12 or all), in fewer epochs.
    "layer_freeze_mlp_0_5_7_epochs": ["method=layer_freeze_mlp_0_5", "schedule.epochs=7"],
    "chunked_lora_6_epochs": ["method=chunked_lora", "schedule.epochs=6", "schedule.chunk_rows=254"],
    "lasting_5_epochs": ["method=lasting", "schedule.epochs=5"],
    "lasting_3_3_nats_5_epochs": ["method=lasting", AT_3_3, "schedule.epochs=5"],
    "lasting_3_5_nats_4_epochs": ["method=lasting", "objective.forget_ceiling_nats=3.5", "schedule.epochs=4"],
    "layer_freeze_mlp_0_5_8_epochs": ["method=layer_freeze_mlp_0_5", "schedule.epochs=8"],
    "layer_freeze_mlp_0_5_4_1_nats_8_epochs": [
        *("method=layer_freeze_mlp_0_5", "objective.forget_ceiling_nats=4.1", "schedule.epochs=8"),
    ],
    "chunked_lora_4_4_nats_6_epochs": [
        *("method=chunked_lora", "objective.forget_ceiling_nats=4.4", "schedule.epochs=6", "schedule.chunk_rows=254"),
    ],
    "chunked_lora_4_6_nats_6_epochs": [
        *("method=chunked_lora", "objective.forget_ceiling_nats=4.6", "schedule.epochs=6", "schedule.chunk_rows=254"),
    ],
    # Without a ceiling that was searched.
    "layer_freeze_mlp_0_5_follows_8_epochs": [
        *("method=layer_freeze_mlp_0_5", *FOLLOWING, "stopping.check_every_steps=16", "schedule.epochs=8"),
    ],
    "layer_freeze_mlp_0_5_follows_warm_8_epochs": [  # the rate rises for an epoch, 34 steps of the whole fold
        *("method=layer_freeze_mlp_0_5", *FOLLOWING, "stopping.check_every_steps=16", "schedule.epochs=8"),
        "optimizer.warmup_steps=34",
    ],
    "chunked_lora_follows_6_epochs": [
        *("method=chunked_lora", *FOLLOWING, "stopping.check_every_steps=32"),
        *("schedule.epochs=6", "schedule.chunk_rows=254"),
    ],
    # On the way to them.
    "lasting_3_nats": ["method=lasting", "objective.forget_ceiling_nats=3"],
    "lasting_3_4_nats": ["method=lasting", "objective.forget_ceiling_nats=3.4"],
    "layer_freeze_mlp_0_5_4_6_nats": ["method=layer_freeze_mlp_0_5", "objective.forget_ceiling_nats=4.6"],
    "chunked_lora_5_2_nats": ["method=chunked_lora", AT_5_2],
    "chunked_lora_retain_3": ["method=chunked_lora", AT_5_2, "objective.retain_weight=3", "optimizer.lr=2e-3"],
    "chunked_lora_5_3_nats": [*LORA_16_ROWS, "objective.forget_ceiling_nats=5.3"],
    "chunked_lora_5_75_nats": [*LORA_16_ROWS, "objective.forget_ceiling_nats=5.75"],
    "layer_freeze_mlp_0_5_guess": [*FREEZE, AT_5, "optimizer.lr=1e-3", "schedule.epochs=6"],
    "layer_freeze_mlp_0_5_tokens": [
        *BY_TOKENS,
        "objective.forget_ceiling_nats=4.2",
        "optimizer.lr=1e-3",
        "schedule.epochs=7",
    ],
    "layer_freeze_mlp_0_5_4_nats": [
        *BY_TOKENS,
        "objective.forget_ceiling_nats=4",
        "optimizer.lr=1.2e-3",
        "schedule.epochs=14",
    ],
    "layer_freeze_mlp_0_5_3_nats": [
        *BY_TOKENS,
        "objective.forget_ceiling_nats=3",
        "optimizer.lr=1.2e-3",
        "schedule.epochs=10",
    ],
    "layer_freeze_mlp_0_5_2_7_nats": AT_2_7,
    # Rows above the ceiling turn back.
    "layer_freeze_mlp_0_5_turn": [*AT_2_7, "objective.forget_ceiling_nats=4.4", "objective.above_ceiling=turn"],
    "layer_freeze_mlp_0_5_turn_wga": [
        *(*BY_TOKENS, "objective=wga", "objective.forget_ceiling_nats=4.3", "objective.above_ceiling=turn"),
        *("objective.retain_weight=2", "optimizer.lr=1.2e-3", "schedule.epochs=10"),
    ],
    "chunked_last_k": [*LAST_K, "objective.forget_ceiling_nats=6"],
    "chunked_last_k_4_4_nats": [*LAST_K, "objective.forget_ceiling_nats=4.4"],
    "chunked_lora_3_nats": [*LORA, TWO_CHUNKS, "objective.forget_ceiling_nats=3"],
    "chunked_lora_4_5_nats": [*LORA, TWO_CHUNKS, "objective.forget_ceiling_nats=4.5"],
    "chunked_lora_one_chunk": [*LORA, ONE_CHUNK, "objective.forget_ceiling_nats=4"],
    "chunked_lora_one_chunk_2_7_nats": [
        *(*LORA, ONE_CHUNK, "objective.forget_ceiling_nats=2.7", "optimizer.lr=1.2e-3"),
    ],
    "chunked_lora_one_chunk_layers_0_9": [*LORA, ONE_CHUNK, "objective.forget_ceiling_nats=4", "scope.layers=0-9"],
    "chunked_lora_guess": [*CHUNKS, TWO_CHUNKS, AT_5, "optimizer.lr=1e-3", "schedule.epochs=3"],
    "chunked_lora_rows": [*LORA_BY_ROWS, TWO_CHUNKS, "objective.forget_ceiling_nats=3"],
    # Baselines. npo has the best numbers of an earlier search, grad_diff those of its trial that forgets.
    "grad_diff": [
        *("method=grad_diff", *DOCUMENTS, *TOKENS_TURN, "objective.forget_ceiling_nats=5.173"),
        *("objective.retain_weight=2.245", "optimizer.lr=2.438e-4", "schedule.epochs=7", "schedule.batch_rows=8"),
    ],
    "npo": [
        *("method=npo", *DOCUMENTS, "objective.beta=0.2783", "objective.retain_weight=1.083"),
        *("optimizer.lr=2.438e-4", "schedule.epochs=7", "schedule.batch_rows=8"),
    ],
    "grad_ascent": ["method=grad_ascent", *DOCUMENTS, "optimizer.lr=1e-5", "schedule.epochs=2", ROWS],
}
"""What each row of the table changes."""


def main() -> None:
    """Score the pretrained model, make the other two, run the methods, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=SOURCES, default="smollm2_135m")
    parser.add_argument("--weights", type=Path, help=f"by default {FETCHED}/MODEL")
    parser.add_argument("--documents", type=documents_or_whole, default="4", help=f"of each task and set, or {WHOLE}")
    about = f"of memorising; by default {EPOCHS}"
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=about)
    about = "no name: the models that methods are compared with, and nothing else"
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS), help=about)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    given = parser.parse_args()
    if given.epochs < 1:
        parser.error(f"argument --epochs: {given.epochs}; must be 1 or more")
    folder, weights = given.folder.resolve(), (given.weights or FETCHED / given.model).resolve()
    common = [
        f"model={given.model}",
        *rows_of(given.documents),
        *precision_of(given.model, given.documents),
        *SCORED,
        f"cache_dir={folder / 'cache'}",
    ]
    if not given.weights and not (weights / "config.json").exists():
        subprocess.run([sys.executable, "-m", "experiments.real_models.fetch", given.model], check=True)
    finish("unlearn-evaluate", [*common, f"model.path={weights}"], folder / "base")
    recipe = [f"model.path={weights}", *recipe_of(given.model, given.documents, given.epochs)]
    for name, words in (("target", []), ("retrained", ["forget=false"])):
        finish("unlearn-memorise", [*common, *recipe, *words], folder / name)
    models = [f"model.path={folder / 'target' / 'model'}", f"model.retrained={folder / 'retrained' / 'model'}"]
    for seed in given.seeds:
        for method in given.methods:
            own = [*METHODS[method], f"seed={seed}", "save_model=false"]
            if FOLLOWS in own:
                own.append(f"data.unseen=[{unseen_rows(folder)}]")
            finish("unlearn", [*common, *models, *own], folder / "runs" / f"{method}-{seed}")
    if given.methods:
        finish("unlearn-report", [f"runs={folder / 'runs'}"], None)


def unseen_rows(folder: Path) -> Path:
    """Return a file of the first Task3 documents of the official train fold's forget set, which it writes.

    Questions are left out, since the membership test is of documents; its members are Task3 documents too. The target
    has memorised documents of the validation fold.
    """
    path = folder / "unseen.jsonl"
    rows = parquet.read_table(Path(os.environ["UNLEARNING_DATA"]) / TRAIN_FOLD, columns=list(FIELDS)).to_pylist()
    documents = [row for row in rows if row["task"] == "Task3" and kind_of(row["id"]) is Kind.COMPLETION]
    write_text(path, "".join(json.dumps(row) + "\n" for row in documents[:UNSEEN_DOCUMENTS]))
    return path


def documents_or_whole(word: str) -> str:
    """Return the word, which is a number of documents or `WHOLE`."""
    if word != WHOLE and not (word.isdecimal() and int(word) > 0):
        raise argparse.ArgumentTypeError(f"{word!r} is neither a number above 0 nor {WHOLE}")
    return word


def rows_of(documents: str) -> list[str]:
    """Return the words that choose the official rows."""
    limit = [] if documents == WHOLE else [f"data.max_documents_per_task={documents}"]
    return ["data=semeval25_validation", *limit]


def precision_of(model: str, documents: str) -> list[str]:
    """Return the word of the precision of all training, where it is not float32."""
    return [MIXED_PRECISION] if documents == WHOLE or model == "gemma3_270m" else []


def recipe_of(model: str, documents: str, epochs: int) -> list[str]:
    """Return the words of memorising."""
    whole = WHOLE_RECIPES.get(model, []) if documents == WHOLE else []
    return [f"recipe.epochs={epochs}", *RECIPES[model], *whole]


def finish(command: str, words: Sequence[str], folder: Path | None) -> None:
    """Run a command, or go on with it, unless its folder says that it is finished. A method that fails is no reason to
    stop: the comparison names it."""
    if folder is not None and is_finished(folder):
        return
    own = [] if folder is None else [f"hydra.run.dir={folder}"]
    done = subprocess.run([Path(sys.executable).parent / command, *words, *own], check=command == "unlearn-memorise")
    print(f"{command} {folder or ''}: exit code {done.returncode}", flush=True)


def is_finished(folder: Path) -> bool:
    """Return whether the command in this folder came to its end."""
    status = folder / "status.json"
    return status.exists() and json.loads(status.read_text())["state"] == "finished"


if __name__ == "__main__":
    main()
