"""Whole commands on models whose layers keep a state, against plain code that runs one row at a time.

By default the rooms' own tests have such models: tests/training/test_whole_rows.py for training, tests/mediation/ for
tracing.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from tests.command_line import Ended, run_command
from tests.commands.sandbox_runs import read
from tests.mediation.builders import byte_level
from tests.reference.plain_training import Tokens, row_means
from tests.tiny_models import EAGER_ONLY, STATEFUL, tiny_model

pytestmark = [pytest.mark.usefixtures("without_figures"), pytest.mark.exhaustive]

FORGET = [
    ("What is the birth date of Ada Brook?", "1950-01-10"),
    ("What is Ada Brook's phone number?", "550-1000"),
    ("What is the birth date of Tim Vale?", "1953-02-11"),
    ("What is Tim Vale's phone number?", "550-2717"),
]
RETAIN = [
    ("What is the birth date of Ola Fenn?", "1961-07-30"),
    ("What is Ola Fenn's phone number?", "550-9041"),
    ("What is the birth date of Ines Roth?", "1948-12-02"),
    ("What is Ines Roth's phone number?", "550-3366"),
]
NEW_TOKENS = 12
TRACED = ("qwen3_5_text", "qwen3_next", "olmo_hybrid", "bamba", "granitemoehybrid")
"""Families whose layers all have an attention and an MLP; the others are refused by the default trace."""


def write_rows(path: Path, rows: list[tuple[str, str]], first: int) -> None:
    """Write rows as questions of one's own."""
    lines = [
        json.dumps({"id": f"p{first + place // 2}qa{place % 2}", "input": question, "output": answer, "task": "Task2"})
        for place, (question, answer) in enumerate(rows)
    ]
    path.write_text("\n".join(lines) + "\n")


def tokens_of(tokenizer: PreTrainedTokenizerBase, question: str, answer: str) -> Tokens:
    """Return the ids of question, answer and end of text, and the place where the answer begins."""
    ids = [*tokenizer(f"{question} {answer}")["input_ids"], tokenizer.eos_token_id]
    return tuple(ids), len(tokenizer(question)["input_ids"])


def row_loss(model: PreTrainedModel, ids: Sequence[int], start: int) -> Tensor:
    """Return the mean cross-entropy of the tokens from `start` on, from one row alone."""
    logits = model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0]
    return torch.nn.functional.cross_entropy(logits[start - 1 : -1], torch.tensor(ids[start:]))


@torch.no_grad()
def mean_loss(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: list[tuple[str, str]]) -> float:
    """Return the mean over rows."""
    return sum(float(row_loss(model, *tokens_of(tokenizer, *row))) for row in rows) / len(rows)


@torch.no_grad()
def greedy(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, question: str) -> str:
    """Return the answer of one row and one token at a time, without a cache."""
    ids = tokenizer(question)["input_ids"]
    start = len(ids)
    while len(ids) < start + NEW_TOKENS and ids[-1] != tokenizer.eos_token_id:
        ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return str(tokenizer.decode(ids[start:], skip_special_tokens=True)).strip()


def memorise(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Train the model, by plain code, until it knows all rows by heart."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.0)
    rows = [tokens_of(tokenizer, *row) for row in (*FORGET, *RETAIN)]
    for _ in range(80):
        losses = row_means(model, rows, "right")
        losses.mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if float(losses.detach().max()) < 0.02:
            break
    assert float(losses.detach().max()) < 0.1


def scale_down(model: PreTrainedModel) -> None:
    """Give the matrices the usual scale of weights before training."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.25 if parameter.dim() > 1 else 1)


@pytest.mark.parametrize("family", STATEFUL)
def test_every_command(family: str, tmp_path: Path) -> None:
    """What training starts from, and what is said before and after it, is that of the plain code; so is the refusal."""
    tokenizer = byte_level(
        [f"{question} {answer}" for question, answer in (*FORGET, *RETAIN)], 320, by_words=True, bos=False
    )
    model = tiny_model(family, vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id)
    scale_down(model)
    memorise(model, tokenizer)
    model.save_pretrained(tmp_path / "target")
    tokenizer.save_pretrained(tmp_path / "target")
    write_rows(tmp_path / "forget.jsonl", FORGET, 0)
    write_rows(tmp_path / "retain.jsonl", RETAIN, 2)
    kept_line = f"model_type={model.config.model_type}: its layers keep a state, so each row has a pack of its own"

    def run(command: str, *words: str) -> Ended:
        own = ["model=local", "model.path=target", "data=jsonl", "data.forget=[forget.jsonl]"]
        own += ["data.retain=[retain.jsonl]", "trainer=cpu", "logger=none", f"hydra.run.dir={command}"]
        own += ["model.attention=eager"] if family in EAGER_ONLY else []
        return run_command(command, [*own, *words], tmp_path)

    scored = ["evaluation.references=false", f"evaluation.max_new_tokens={NEW_TOKENS}"]
    ended = run("evaluate", *scored)
    assert ended.code == 0, ended.err
    assert kept_line in ended.out
    assert same_answers(tmp_path / "evaluate", model, tokenizer) == [True] * 8

    words = ["method=grad_diff", "scope=layers", "scope.layers=1", "scope.modules=[layer]", "optimizer.lr=5e-3"]
    ended = run("unlearn", *words, *scored, "schedule.batch_rows=8", "trainer.max_steps=3", "trainer.pack_tokens=24")
    assert ended.code == 0, ended.err
    assert read(tmp_path / "unlearn" / "architecture.json")["packs"] is False
    with (tmp_path / "unlearn" / "loss_curve.csv").open() as handle:
        first = next(csv.DictReader(handle))
    assert float(first["forget_loss_nats"]) == pytest.approx(mean_loss(model, tokenizer, FORGET), abs=1e-5)
    assert float(first["retain_loss_nats"]) == pytest.approx(mean_loss(model, tokenizer, RETAIN), abs=1e-5)
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "unlearn" / "model").eval()
    own = AutoTokenizer.from_pretrained(tmp_path / "unlearn" / "model")
    assert len(same_answers(tmp_path / "unlearn", after, own)) == 8
    assert mean_loss(after, own, FORGET) > mean_loss(model, tokenizer, FORGET)

    ended = run("trace", "trace.draws=2", "trace.facts=2", "trace.rule=first")
    if family in TRACED:
        assert ended.code == 0, ended.err
        clean = pq.read_table(tmp_path / "trace" / "effects.parquet")
        assert clean.num_rows > 0
    else:
        assert ended.code == 1
        assert len(ended.err.strip().splitlines()) == 1
        assert "among its parts" in ended.err or "together" in ended.err


def same_answers(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[bool]:
    """Compare a run's answers with plain ones, and return which of them are right.

    A run stops an answer that can no longer become right, so that a wrong one is the beginning of the plain one.
    """
    lines = [json.loads(line) for line in (folder / "generations.jsonl").read_text().splitlines()]
    for line in lines:
        plain = greedy(model, tokenizer, line["input"])
        assert plain.startswith(line["generated"].strip())
        assert (plain == line["expected"]) is (line["score"] == 1)
    return [line["score"] == 1 for line in lines]
