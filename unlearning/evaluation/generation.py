"""Greedy answers to many prompts in batches, equal to the answers to one prompt at a time.

Rows of similar length share a batch. A row leaves its batch once it has ended, or once no further token can change its
score. The answers are equal up to rounding: in bfloat16 a batch may decide differently between two tokens that are
almost equally likely.
"""

from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.config.prompt import PromptConfig
from unlearning.data.rendering import end_of_turn
from unlearning.data.rows import Kind, Row
from unlearning.evaluation.decoding import DecodingBatch, PartialAnswer, slots_needed
from unlearning.evaluation.model_state import allowed_new_tokens, evaluation_mode, require_fits
from unlearning.evaluation.plain_decoding import decode_plainly
from unlearning.evaluation.stopping import StoppingRule
from unlearning.evaluation.text import StableText, official_text
from unlearning.models.capabilities import capabilities
from unlearning.models.match import end_of_text_tokens
from unlearning.progress.shown import shown_progress

ANSWER_STEP_TOKENS = 16
"""The number of tokens expected of an answer is a multiple of this, so that many rows have the same."""


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    prompts: Sequence[list[int]],
    ends: frozenset[int],
    max_new_tokens: int,
    batch_tokens: int,
) -> list[str]:
    """Return the greedy continuation of each prompt, decoded as by the official evaluator, in the order of the rows.

    `prompts` are the rows' token ids, `ends` the tokens that end an answer (`end_tokens`). The text of a question ends
    where it can no longer match the answer, that of a completion where its recall is already 1, and every text at the
    end of the model's context. Each token is the most likely one, whatever the model's generation_config says. A batch
    holds at most `batch_tokens` cache slots, or one row.

    Raises InputError for a prompt that leaves no room in the context, and for logits that are not a number.
    """
    stable_text = StableText(tokenizer)
    answers = []
    for row, prompt in zip(rows, prompts, strict=True):
        require_fits(model, f"row {row.id}", len(prompt), 1)
        limit = allowed_new_tokens(model, len(prompt), max_new_tokens)
        likely_answers = _likely_answers(tokenizer, row, ends)
        # After so many tokens the score of nearly every question is decided.
        expected = (len(likely_answers[0]) // ANSWER_STEP_TOKENS + 2) * ANSWER_STEP_TOKENS
        expected = expected if row.kind is Kind.QUESTION else limit
        answers.append(PartialAnswer(row, StoppingRule(row, stable_text), prompt, likely_answers, limit, expected))
    with evaluation_mode(model), shown_progress("generation", len(answers)) as advance:
        if not capabilities(model).branches:
            decode_plainly(model, answers, ends, batch_tokens, advance)
            return [official_text(tokenizer, answer.tokens) for answer in answers]
        waiting = list(answers)
        while waiting:
            batch, waiting = _next_batch(waiting, batch_tokens)
            DecodingBatch(model, batch, ends).decode()
            unfinished = [answer for answer in batch if not answer.ended]
            for answer in unfinished:
                answer.expected_tokens = answer.limit
            waiting += unfinished
            advance(len(batch) - len(unfinished))
    return [official_text(tokenizer, answer.tokens) for answer in answers]


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: PromptConfig) -> frozenset[int]:
    """Return the tokens that end an answer: all that the model's two configurations and the tokenizer name.

    In the chat style the template's end of turn ends an answer too.
    """
    named = set(end_of_text_tokens(model))
    if tokenizer.eos_token_id is not None:
        named.add(tokenizer.eos_token_id)
    closing = end_of_turn(tokenizer, prompt)
    if closing is not None:
        named.add(tokenizer(closing, add_special_tokens=False)["input_ids"][-1])
    return frozenset(named)


def _likely_answers(tokenizer: PreTrainedTokenizerBase, row: Row, ends: frozenset[int]) -> list[list[int]]:
    """Return the row's output as token ids, with and without a space before it: what a model that remembers it says."""
    texts = [f" {row.output}", row.output]
    return [[*tokens, *sorted(ends)[:1]] for tokens in tokenizer(texts, add_special_tokens=False)["input_ids"]]


def _next_batch(waiting: list[PartialAnswer], batch_tokens: int) -> tuple[list[PartialAnswer], list[PartialAnswer]]:
    """Return the longest rows that fit into one batch, and the rest; so the first batch shows if memory suffices."""
    ordered = sorted(waiting, key=lambda answer: (-answer.room, -answer.length))
    room, width, size = ordered[0].room, 0, 0
    for answer in ordered:
        width = max(width, answer.length)
        if size and (size + 1) * slots_needed(width, room) > batch_tokens:
            break
        size += 1
    return ordered[:size], ordered[size:]
