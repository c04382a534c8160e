"""Make and measure the models of this study: `python -m experiments.metrics_judged.run [FOLDER]`.

Each model's numbers go to a file of its own in FOLDER/numbers, so that an interruption costs one model at most; a model
that has its file is not made again. All numbers go to FOLDER/runs.csv, which `study.py` in this folder reads.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import torch
from transformers import PreTrainedModel

from experiments.metrics_judged import make
from experiments.metrics_judged.measure import COLUMNS, Scorer, make_scorer
from experiments.metrics_judged.pools import DOCUMENTS, TARGET, pools
from experiments.metrics_judged.unlearned import unlearned_models
from unlearning.api.configuration import compose
from unlearning.artefacts import write_csv, write_folder, write_json
from unlearning.commands.stages.sandbox_models import ASSETS
from unlearning.config.model import ModelConfig
from unlearning.models.load import load_model, load_tokenizer, save_model

START = ASSETS / "retrained"
"""The retrained model, from which all models are made."""
BEFORE = "before"
STATES: dict[str, Callable[..., AbstractContextManager[None]]] = {
    BEFORE: lambda *_: nullcontext(),
    "relearned": make.relearned,
    "quantised": make.quantised,
}
"""What is done to a model before it is measured."""
SPEC = ("model", "pool", "made", "lr", "epochs", "seed", "state")


def main(folder: Path) -> None:
    """Make the target; measure it and the retrained model, the unlearned models and the pools."""
    corpus = compose([f"data.max_documents_per_task={DOCUMENTS}"], "evaluate").corpus()
    target = folder / "target"
    tokenizer = load_tokenizer(str(START), ModelConfig())
    if not target.exists():
        write_folder(target, partial(save_model, make.memorised(TARGET, START, corpus, tokenizer), tokenizer))
    scorer = make_scorer(corpus, tokenizer, loaded(target), loaded(START))
    measure(folder, {"model": "target", "pool": "target"}, (BEFORE,), scorer, partial(loaded, target))
    measure(folder, {"model": "retrained", "pool": "retrained"}, STATES, scorer, partial(loaded, START))
    for spec in unlearned_models():
        measure(folder, spec.cells, STATES, scorer, partial(make.unlearned, spec, target, corpus, tokenizer))
    for taught in pools():
        measure(folder, taught.cells, (BEFORE,), scorer, partial(make.memorised, taught, START, corpus, tokenizer))
    lines = [json.loads(path.read_text()) for path in sorted((folder / "numbers").glob("*.json"))]
    rows = [[line.get(key, "") for key in (*SPEC, *COLUMNS)] for line in lines]
    write_csv(folder / "runs.csv", [*SPEC, *COLUMNS], rows)


def measure(
    folder: Path,
    cells: dict[str, str],
    states: Iterable[str],
    scorer: Scorer,
    make_model: Callable[[], PreTrainedModel],
) -> None:
    """Write the model's numbers in each of these states, unless all of them are there. `cells` are its columns."""
    paths = {state: folder / "numbers" / f"{cells['model']}-{state}.json" for state in states}
    if all(path.exists() for path in paths.values()):
        return
    model = make_model()
    for state, path in paths.items():
        with STATES[state](model, scorer.tokenizer, scorer.corpus):
            write_json(path, {**cells, "state": state, **scorer.numbers(model)})
    print(f"{cells['model']}: {time.process_time():.0f} CPU seconds", flush=True)


def loaded(path: Path) -> PreTrainedModel:
    """Return a model in single precision."""
    return load_model(str(path), ModelConfig(), torch.float32)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "outputs/metrics_judged"))
