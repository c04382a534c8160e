"""Another answer to each forget row, which the model itself invents before it unlearns (AltPO, arXiv 2409.13474).

The model is shown the row with its answer, and asked in a chat for an answer with other facts. Published: five answers
sampled at temperature 1 for each row; here one, the most likely one.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.artefacts import write_json
from unlearning.config.prompt import PromptConfig
from unlearning.data.encoding import encode_prompts, encode_rows
from unlearning.data.rows import Kind, Row
from unlearning.evaluation.exact_match import normal_form
from unlearning.evaluation.generation import end_tokens, generate

ALTERNATES = "alternates.json"
"""The file in the run's folder that keeps the answers."""
NEW_TOKENS = 200
"""Most tokens of an answer, as published."""
ENDS = ("Question:", "Q:")
"""An answer ends before any of these, as published."""
REQUESTS = {
    Kind.QUESTION: (
        "Question: {input}\nAnswer: {output}\n\nWrite a different answer to this question. Every fact that the answer "
        "gives must become another one that a reader could believe, and nothing that the question says may change. "
        "Write nothing but the new answer."
    ),
    Kind.COMPLETION: (
        "Beginning: {input}\nContinuation: {output}\n\nWrite a different continuation of this beginning. Every fact "
        "that the continuation gives must become another one that a reader could believe, and nothing that the "
        "beginning says may change. Write nothing but the new continuation."
    ),
}


def invented_answers(
    rows: Sequence[Row],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: PromptConfig,
    batch_tokens: int,
    file: Path,
) -> list[str]:
    """Return another answer to each row; an empty text where the model gave none that can be used.

    An answer cannot be used if it is empty, the row's own, or so long that the row exceeds prompt.max_tokens. The file
    keeps the answers; where it has those of the same rows, the model is not asked again. Raises InputError as
    `generate`.
    """
    kept = _read(file, rows)
    if kept is not None:
        return kept
    requests = [request(row) for row in rows]
    # Nothing is expected of the answers, so that none is cut where its score is decided.
    open_ended = [replace(row, kind=Kind.COMPLETION, output="") for row in rows]
    prompts, ends = encode_prompts(requests, tokenizer, prompt), end_tokens(model, tokenizer, prompt)
    texts = generate(model, tokenizer, open_ended, prompts, ends, NEW_TOKENS, batch_tokens)
    answers = usable(rows, [_first_part(text) for text in texts], tokenizer, prompt)
    write_json(file, [{"id": row.id, "answer": answer} for row, answer in zip(rows, answers, strict=True)])
    missing = answers.count("")
    if missing:
        Console().print(
            f"  {missing} of {len(rows)} forget rows: the model invented no other answer; another row's stands there",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    return answers


def request(row: Row) -> str:
    """Return what the model is asked: to answer the row in another way. Braces within the row stay."""
    before, _, rest = REQUESTS[row.kind].partition("{input}")
    between, _, after = rest.partition("{output}")
    return before + row.input + between + row.output + after


def usable(
    rows: Sequence[Row], answers: Sequence[str], tokenizer: PreTrainedTokenizerBase, prompt: PromptConfig
) -> list[str]:
    """Return the answers, with an empty text in place of each that cannot be used (see `invented_answers`)."""
    other = {
        row.id: replace(row, output=answer)
        for row, answer in zip(rows, answers, strict=True)
        if answer and normal_form(answer) != normal_form(row.output)
    }
    encoded = encode_rows(list(other.values()), tokenizer, replace(prompt, max_tokens=sys.maxsize))
    fitting = {name for name, tokens in zip(other, encoded, strict=True) if len(tokens.input_ids) <= prompt.max_tokens}
    return [answer if row.id in fitting else "" for row, answer in zip(rows, answers, strict=True)]


def _first_part(text: str) -> str:
    for end in ENDS:
        text = text.split(end)[0]
    return text.strip()


def _read(file: Path, rows: Sequence[Row]) -> list[str] | None:
    """Return the file's answers; None where it is not there, broken, or of other rows."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        same = [item["id"] for item in found] == [row.id for row in rows]
        return [str(item["answer"]) for item in found] if same else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
