"""Greedy answers to many prompts at once, equal to one prompt at a time.

Rows of like length share a batch; a row leaves it once it has ended or once no further token can change its score.
Equal up to rounding: in bfloat16 a batch may break a near-tie otherwise than a single row does.
"""

from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.data.rows import Kind, Row
from unlearning.evaluation.decoding import DecodingBatch, PartialAnswer, slots_needed
from unlearning.evaluation.model_state import allowed_new_tokens, evaluation_mode, require_fits
from unlearning.evaluation.progress import progress_bar
from unlearning.evaluation.stopping import StoppingRule
from unlearning.evaluation.text import StableText, official_text

ANSWER_STEP_TOKENS = 16


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    prompts: Sequence[list[int]],
    max_new_tokens: int,
    batch_tokens: int,
) -> list[str]:
    """Greedy continuations as the official evaluator decodes them, in the order of the rows.

    `prompts` holds each row's token ids. A question's text ends where it can no longer match, a completion's where
    its recall is already 1; a row also ends where the model's context does. Plain arg max: settings of the model's
    generation_config other than its end-of-text tokens are not applied. A batch holds at most `batch_tokens` cache
    slots, or one row.

    Raises InputError for a prompt that leaves no room in the context, and for logits that are not a number.
    """
    ends = end_tokens(model, tokenizer)
    stable_text = StableText(tokenizer)
    answers = []
    for row, prompt in zip(rows, prompts, strict=True):
        require_fits(model, f"row {row.id}", len(prompt), 1)
        limit = allowed_new_tokens(model, len(prompt), max_new_tokens)
        likely_answers = _likely_answers(tokenizer, row, ends)
        # New tokens after which hardly a question is undecided; in whole steps, so that many rows agree.
        expected = (len(likely_answers[0]) // ANSWER_STEP_TOKENS + 2) * ANSWER_STEP_TOKENS
        expected = expected if row.kind is Kind.QUESTION else limit
        answers.append(PartialAnswer(row, StoppingRule(row, stable_text), prompt, likely_answers, limit, expected))
    with evaluation_mode(model), progress_bar("generation", len(answers)) as advance:
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


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The tokens that end an answer: those of the model's generation_config, else the tokenizer's."""
    settings = model.generation_config
    ends = None if settings is None else settings.eos_token_id
    if ends is None:
        ends = tokenizer.eos_token_id
    if ends is None:
        return frozenset()
    return frozenset([ends] if isinstance(ends, int) else ends)


def _likely_answers(tokenizer: PreTrainedTokenizerBase, row: Row, ends: frozenset[int]) -> list[list[int]]:
    """What a model that remembers the row would say, with and without a space before it."""
    texts = [f" {row.output}", row.output]
    return [[*tokens, *sorted(ends)[:1]] for tokens in tokenizer(texts, add_special_tokens=False)["input_ids"]]


def _next_batch(waiting: list[PartialAnswer], batch_tokens: int) -> tuple[list[PartialAnswer], list[PartialAnswer]]:
    """The longest rows that fit together, and the rest: the first batch shows whether memory suffices."""
    ordered = sorted(waiting, key=lambda answer: (-answer.room, -answer.length))
    room, width, size = ordered[0].room, 0, 0
    for answer in ordered:
        width = max(width, answer.length)
        if size and (size + 1) * slots_needed(width, room) > batch_tokens:
            break
        size += 1
    return ordered[:size], ordered[size:]
