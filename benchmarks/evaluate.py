"""How much faster an evaluation is than one row at a time: `python -m benchmarks.evaluate`.

Ours is what every command measures for the official score; plain is the official evaluator restated
(tests/reference/official_score.py): greedy, one row at a time with a cache, then each document's loss; and each MMLU
question with its whole prompt. Both get the official validation fold and MMLU ($UNLEARNING_DATA) and the same small
OLMo (OLMo's tokenizer and its 50,304 tokens, float32). How long generation takes depends on what a model says, so there
are three of them (`evaluate_models.py`). The plain time is that of items spread over each kind, half before and half
after ours, times their number; ours is always whole. Scores, losses and choices of these items must be the same.
"""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter, process_time
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.evaluate_models import remembering, repeating, wandering
from benchmarks.matrix_rate import forward_products, machine_rate, operations
from benchmarks.official_rows import official_corpus
from benchmarks.shapes import SHAPES, SMALL, random_model
from tests.reference.official_score import Official
from unlearning.config.evaluation import EvaluationConfig
from unlearning.config.model import ModelConfig
from unlearning.config.prompt import PromptConfig
from unlearning.data.rows import Corpus, Kind, Question, Row
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.parts import generations, letters, membership
from unlearning.evaluation.semeval import row_score
from unlearning.models.load import load_tokenizer

LAYERS, EPOCHS, NEW_TOKENS, SHOTS = 4, 22, 256, 5
FOLD_BAR, MMLU_BAR = 20, 4
GIGA = 1e9
TOLERANCE = 1e-4
"""Largest difference between the two losses of a document, in nats a token."""
SUBJECTS = ("anatomy", "econometrics", "high_school_us_history", "machine_learning", "philosophy", "virology")
"""Subjects of MMLU with short and with long prompts; all their questions are asked."""
SAMPLED = {"remembers": 24, "wanders": 6, "repeats": 6, "documents": 16, "questions": 24}
"""Number of items of each kind that are timed one by one."""
CLOCKS: dict[str, Callable[[], float]] = {"wall": perf_counter, "cpu": process_time}
Result = dict[str, dict[str, float]]


@dataclass
class Plain:
    """Items of one kind, of which some are timed one by one, in two halves."""

    items: Sequence[Any]
    do: Callable[[Any], float]
    most: int
    now: Callable[[], float]
    found: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        count = min(self.most, len(self.items))
        # The halves lie among one another.
        spread = [place * len(self.items) // count for place in range(count)]
        self.places = [*spread[::2], *spread[1::2]]

    def half(self) -> None:
        """Time the next half of the items."""
        start = self.now()
        self.found += [
            self.do(self.items[place]) for place in self.places[len(self.found) :][: -(-len(self.places) // 2)]
        ]
        self.seconds += self.now() - start

    def total(self) -> float:
        """Return the seconds that all items would take."""
        return self.seconds / len(self.found) * len(self.items)

    def check(self, name: str, ours: Sequence[float], tolerance: float = 0.0) -> None:
        """End the program if our values are not the same."""
        for place, value in zip(self.places, self.found, strict=True):
            if not abs(ours[place] - value) <= tolerance:
                raise SystemExit(f"{name}: {self.items[place]} is {ours[place]}, and {value} on the plain side")


def main() -> None:
    """Measure both sides, print the table, and then a line of JSON with the seconds of both and their ratio."""
    options = arguments()
    torch.set_num_threads(options.threads)
    now = CLOCKS[options.clock]
    tokenizer = load_tokenizer(os.environ["UNLEARNING_DATA"] + "/tokenizers/olmo-0724", ModelConfig(name="olmo"))
    corpus = official(options.quick)
    rows = [*corpus.forget, *corpus.retain]
    if options.shape == SMALL:
        fresh = partial(repeating, LAYERS, options.width)
    else:
        fresh = partial(random_model, options.shape, options.width)
    models = {
        "remembers": partial(remembering, LAYERS, options.width, rows, tokenizer, EPOCHS),
        "wanders": lambda: wandering(fresh()),
        "repeats": fresh,
    }
    results: Result = {}
    for name in options.models:
        results |= fold(name, measured(models[name](), tokenizer, corpus), now)
    results |= mmlu(measured(fresh(), tokenizer, corpus), now)
    show(results, options)
    print(json.dumps(results))


def arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description="Evaluation against one row at a time.")
    parser.add_argument("--models", nargs="*", choices=list(SAMPLED)[:3], default=list(SAMPLED)[:3])
    parser.add_argument("--quick", action="store_true", help="a quarter of the rows, and two subjects")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shape", choices=(SMALL, *SHAPES), default=SMALL, help="of the models with random weights")
    parser.add_argument("--width", type=int, default=256, help="of the small model, a multiple of 64")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: for a machine that does other work too")
    return parser.parse_args()


def official(quick: bool) -> Corpus:
    """Return the validation fold with its membership documents, and some subjects of MMLU."""
    corpus = official_corpus("semeval25_validation")
    step, subjects = (4, SUBJECTS[:2]) if quick else (1, SUBJECTS)
    return replace(
        corpus,
        forget=corpus.forget[::step],
        retain=corpus.retain[::step],
        members=corpus.members[::step],
        nonmembers=corpus.nonmembers[::step],
        questions=tuple(question for question in corpus.questions if question.subject in subjects),
    )


def measured(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, corpus: Corpus) -> EvaluatedModel:
    """Return the model with everything that decides what is measured, as a command makes it."""
    return EvaluatedModel(model, tokenizer, corpus, EvaluationConfig(NEW_TOKENS, shots=SHOTS), PromptConfig())


def fold(name: str, what: EvaluatedModel, now: Callable[[], float]) -> Result:
    """Return the times of the answers to all rows, of the losses of all documents, and of both."""
    official = Official(what.model, what.tokenizer, NEW_TOKENS)
    rows = [*what.corpus.forget, *what.corpus.retain]
    documents = [*what.corpus.members, *what.corpus.nonmembers]

    def score(row: Row) -> float:
        return row_score(row.kind, row.output, official.answer(row.input))

    answers = [Plain([row for row in rows if row.kind is kind], score, SAMPLED[name], now) for kind in Kind]
    losses = Plain(documents, lambda document: official.loss(document.text), SAMPLED["documents"], now)
    for side in (*answers, losses):
        side.half()
    start = now()
    said = generations(what)
    between = now()
    found = membership(what)
    end = now()
    for side in (*answers, losses):
        side.half()
    for kind, side in zip(Kind, answers, strict=True):
        side.check(name, [item.score for item in said if item.kind == kind])
    losses.check(name, [item.loss_nats for item in found], TOLERANCE)
    seconds = sum(side.total() for side in answers)
    lengths = [len(what.tokenizer(document.text)["input_ids"]) for document in documents]
    return {
        name: pair(end - start, seconds + losses.total()),
        f"{name}: answers": pair(between - start, seconds),
        f"{name}: losses": pair(end - between, losses.total()),
        f"{name}: losses, GFLOP/s": matrix_share(what, lengths, end - between),
    }


def matrix_share(what: EvaluatedModel, lengths: Sequence[int], seconds: float) -> dict[str, float]:
    """Return the operations a second of matrix products over texts of these lengths, the machine's, and the share."""
    tokens = sum(lengths)
    needed = forward_products(what.model, tokens, tokens - len(lengths), min(tokens, what.config.batch_tokens))
    reached, possible = operations(needed) / seconds / GIGA, machine_rate(needed) / GIGA
    return {"ours": round(reached, 1), "plain": round(possible, 1), "ratio": round(reached / possible, 3)}


class AtTheEnd:
    """A model that computes the logits of the last token only."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model

    def __call__(self, ids: Tensor) -> Any:
        """Return the model's output for these ids."""
        return self.model(ids, logits_to_keep=1)


def mmlu(what: EvaluatedModel, now: Callable[[], float]) -> Result:
    """Return the times of the choices among letters; the plain side takes logits at all tokens, or at the last only."""
    questions = what.corpus.questions
    worked = {item.subject: [one for one in what.corpus.examples if one.subject == item.subject] for item in questions}

    def side(official: Official) -> Plain:
        def right(question: Question) -> float:
            return float(official.letter_is_right(question, worked[question.subject][:SHOTS]))

        return Plain(questions, right, SAMPLED["questions"], now)

    sides = [side(Official(model, what.tokenizer, NEW_TOKENS)) for model in (what.model, AtTheEnd(what.model))]
    for plain in sides:
        plain.half()
    start = now()
    chosen = letters(what)
    seconds = now() - start
    for plain in sides:
        plain.half()
        plain.check("MMLU", [float(item.right) for item in chosen])
    return {
        "MMLU": pair(seconds, sides[0].total()),
        "MMLU: plain at the last token": pair(seconds, sides[1].total()),
    }


def pair(ours: float, plain: float) -> dict[str, float]:
    """Return the seconds of both sides and their ratio."""
    return {"ours": round(ours, 2), "plain": round(plain, 2), "ratio": round(plain / ours, 2)}


def show(results: Result, options: argparse.Namespace) -> None:
    """Print the table of all times."""
    bars = {**dict.fromkeys(SAMPLED, FOLD_BAR), "MMLU": MMLU_BAR}
    shape = f"OLMo, {LAYERS} layers of width {options.width}" if options.shape == SMALL else options.shape
    model = f"{shape}, {options.threads} threads, {options.clock} time"
    table = Table(title=f"seconds; {model}; plain from some items")
    for heading in ("case", "ours", "plain", "ratio", "bar"):
        table.add_column(heading, justify="left" if heading == "case" else "right")
    for name, found in results.items():
        bar = f">= {bars[name]}" if name in bars else ""
        table.add_row(name, f"{found['ours']:.1f}", f"{found['plain']:.1f}", f"{found['ratio']:.2f}", bar)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
