"""Unlearn planted facts in three scopes and measure where: `python -m experiments.planted_truth.forget FOLDER`.

Facts are 60 questions about 12 persons of the sandbox's forget set; 60 of its retain set stand beside them. All scopes
have the same objective and the same epochs. The script writes where.csv into the folder, where tables.py reads it. What
is already there is not computed again.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from experiments.planted_truth.run import layers_text, run
from experiments.planted_truth.where import Weights, layer_auc, put_back, taken_back, weight_auc
from unlearning.artefacts import write_csv, write_jsonl
from unlearning.commands.stages.sandbox_models import ASSETS
from unlearning.config.data import WorldConfig
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.prompt import PromptConfig
from unlearning.data.rows import Corpus, Kind, Row
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.parts import generations
from unlearning.sandbox.world import generate

PLACEMENTS = ((2, 3), (4, 5), (6, 7))
QUESTIONS = 60
BASE = ASSETS / "retrained"
PLANT = ["recipe.epochs=30", "recipe.optimizer.lr=4e-3", "recipe.optimizer.warmup_steps=10", "scope=layers"]
FORGET = ["method=grad_diff", "objective.forget_ceiling_nats=5", "schedule.epochs=10", "evaluation.references=false"]
SCOPES = {
    "planted": ["optimizer.lr=1e-3", "scope=layers"],
    "all layers": ["optimizer.lr=3e-4", "scope=all"],
    "adapters": ["optimizer.lr=3e-3", "scope=lora_all_linear"],
}
COLUMNS = (
    *("planted", "scope", "layer_auc", "weight_auc", "taken_back", "forget_before", "forget_after", "retain_after"),
    *("planted_put_back", "others_put_back"),
)


def main(folder: Path) -> None:
    """Plant and unlearn with all placements and scopes, and write where.csv."""
    world = generate(WorldConfig())
    forget, retain = questions(world.forget), questions(world.retain)
    common = ["model=local", "data=jsonl", "logger=none"]
    for name, rows in (("forget", forget), ("retain", retain)):
        file = folder / f"{name}.jsonl"
        write_jsonl(file, [{"id": row.id, "input": row.input, "output": row.output, "task": row.task} for row in rows])
        common.append(f"data.{name}=[{file}]")
    lines = []
    for planted in PLACEMENTS:
        layers = f"scope.layers='{planted[0]}-{planted[1]}'"
        target = folder / f"{planted[0]}-{planted[1]}-seed0" / "model"
        start = [f"model.path={BASE}", f"hydra.run.dir={target}", layers]
        run("unlearn-memorise", [*common, *PLANT, *start], target / "metrics.json")
        for scope, words in SCOPES.items():
            out = target.parent / f"forget-{scope.replace(' ', '_')}"
            where = [layers] if scope == "planted" else []
            model = [f"model.path={target / 'model'}", f"model.retrained={BASE}", f"hydra.run.dir={out}"]
            run("unlearn", [*common, *FORGET, *words, *where, *model], out / "report.html")
            lines.append((layers_text(planted), scope, *measured(target, out, planted, forget)))
    write_csv(folder / "where.csv", COLUMNS, lines)


def questions(rows: Sequence[Row]) -> list[Row]:
    """Return the first QUESTIONS questions about persons."""
    return [row for row in rows if row.task == "Task2" and row.kind is Kind.QUESTION][:QUESTIONS]


def measured(target: Path, out: Path, layers: tuple[int, int], forget: Sequence[Row]) -> list[str]:
    """Return where one run moved, what its model knows, and what it knows with some weights put back."""
    folders = (BASE, target / "model", out / "model")
    base, planted, after = (load_file(folder / "model.safetensors") for folder in folders)
    inside, others = (put_back(base, planted, after, was_planted) for was_planted in (True, False))
    before, scores = (json.loads((folder / "metrics.json").read_text()) for folder in (target, out))
    unlearned = scores["unlearned"]
    values = [
        *(layer_auc(planted, after, layers), weight_auc(base, planted, after), taken_back(base, planted, after)),
        *(before["memorised"]["forget_knowledge"], unlearned["forget_knowledge"], unlearned["retain_knowledge"]),
        *(known(weights, forget) for weights in (inside, others)),
    ]
    return [f"{value:.3f}" for value in values]


def known(weights: Weights, forget: Sequence[Row]) -> float:
    """Return the share of the questions that a model with these weights answers exactly."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(BASE), AutoTokenizer.from_pretrained(BASE)
    model.load_state_dict(dict(weights))
    evaluated = EvaluatedModel(model, tokenizer, Corpus(tuple(forget), ()), EvaluationConfig(), PromptConfig())
    return fmean(item.score for item in generations(evaluated))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
