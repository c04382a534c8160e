"""TOFU's questions, asked of a model: how likely its answers are, and what it says itself."""

import math
from collections.abc import Sequence
from dataclasses import replace

from unlearning.config.prompt import Supervised
from unlearning.data.encoding import EncodedRow, encode_prompts, encode_rows
from unlearning.data.rows import Kind, Row, Split, TofuQuestion
from unlearning.errors import InputError
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.generation import end_tokens, generate
from unlearning.evaluation.likelihood import log_likelihoods
from unlearning.evaluation.model_state import require_fits
from unlearning.evaluation.privacy import least_likely_losses
from unlearning.progress.shown import shown_progress

NEW_TOKENS = 200
"""Most tokens of an answer, as in open-unlearning."""


def answer_losses(evaluated: EvaluatedModel, rows: Sequence[Row]) -> list[float]:
    """Return the mean negative log-likelihood of each row's output, in nats a token, its end token included if taught.

    Raises InputError as `encoded_answers`, and for a loss that is not a number.
    """
    encoded = encoded_answers(evaluated, rows)
    sequences, starts = [item.input_ids for item in encoded], [item.supervised_from for item in encoded]
    with shown_progress("TOFU answers", len(rows)) as advance:
        sums = log_likelihoods(evaluated.model, sequences, starts, evaluated.config.batch_tokens, advance)
    losses = []
    for row, total, tokens in zip(rows, sums, encoded, strict=True):
        losses.append(-total / (len(tokens.input_ids) - tokens.supervised_from))
        if math.isnan(losses[-1]):
            raise InputError(f"question {row.id}: the model's loss is not a number (NaN); its weights are broken")
    return losses


def least_likely_answers(evaluated: EvaluatedModel, rows: Sequence[Row]) -> list[float]:
    """Return the Min-40% loss of each row's output, in nats a token; as published, its end token does not count.

    Raises InputError as `answer_losses`.
    """
    ends = end_tokens(evaluated.model, evaluated.tokenizer, evaluated.prompt)
    encoded = encoded_answers(evaluated, rows)
    sequences = [item.input_ids[:-1] if item.input_ids[-1] in ends else item.input_ids for item in encoded]
    names = [f"question {row.id}" for row in rows]
    starts = [item.supervised_from for item in encoded]
    with shown_progress("TOFU holdout", len(rows)) as advance:
        return least_likely_losses(evaluated.model, sequences, starts, names, evaluated.config.batch_tokens, advance)


def encoded_answers(evaluated: EvaluatedModel, rows: Sequence[Row]) -> list[EncodedRow]:
    """Return each row with its output as tokens. Raises InputError as `encode_rows`, and for a row that is too long."""
    prompt = replace(evaluated.prompt, forget_supervised=Supervised.output, retain_supervised=Supervised.output)
    encoded = encode_rows(rows, evaluated.tokenizer, prompt)
    for row, tokens in zip(rows, encoded, strict=True):
        require_fits(evaluated.model, f"question {row.id}", len(tokens.input_ids), 0)
    return encoded


def answer_rows(question: TofuQuestion) -> list[Row]:
    """Return the question with each of its answers: the right one, its paraphrase, and the wrong ones."""
    return [answered(question, text) for text in (question.answer, question.paraphrase, *question.wrong)]


def answered(question: TofuQuestion, answer: str) -> Row:
    """Return the question as a completion: its generation ends where recall is 1, not where no exact match is left."""
    return Row(question.id, question.question, answer, "tofu", Kind.COMPLETION, Split.RETAIN)


def generated_answers(evaluated: EvaluatedModel, questions: Sequence[TofuQuestion]) -> list[str]:
    """Return the greedy answer to each question, of NEW_TOKENS at most. Raises InputError as `generate`."""
    rows = [answered(question, question.answer) for question in questions]
    model, tokenizer = evaluated.model, evaluated.tokenizer
    prompts = encode_prompts([row.input for row in rows], tokenizer, evaluated.prompt)
    ends = end_tokens(model, tokenizer, evaluated.prompt)
    return generate(model, tokenizer, rows, prompts, ends, NEW_TOKENS, evaluated.config.batch_tokens)
