"""The answers of a model to rows of the forget set, and their scores: what most probes measure."""

from collections.abc import Sequence
from dataclasses import replace

from unlearning.config.probe import Measured
from unlearning.data.encoding import encode_prompts
from unlearning.data.ids import document_id
from unlearning.data.rows import Corpus, Kind, Row
from unlearning.evaluation.answer_score import answer_score
from unlearning.evaluation.generation import end_tokens, generate
from unlearning.probes.probe import DoesNotApplyError, Measurement, ProbedModel, RowScore

KINDS = {Measured.knowledge: Kind.QUESTION, Measured.regurgitation: Kind.COMPLETION}
MEASURES = {Measured.knowledge: "exact match", Measured.regurgitation: "ROUGE-L recall"}
ROW_NAMES = {Measured.knowledge: "questions", Measured.regurgitation: "completions"}


def forget_rows(corpus: Corpus, measured: Measured) -> list[Row]:
    """Return the forget set's questions, or its completions. Raises DoesNotApplyError where there are none."""
    rows = [row for row in corpus.forget if row.kind is KINDS[measured]]
    if not rows:
        raise DoesNotApplyError(f"the forget set has no {ROW_NAMES[measured]}")
    return rows


def score_rows(probed: ProbedModel, rows: Sequence[Row]) -> list[RowScore]:
    """Return the scores of the rows when they are asked as the evaluation asks them."""
    return score_prompts(probed, rows, encode_prompts([row.input for row in rows], probed.tokenizer, probed.prompt))


def score_prompts(
    probed: ProbedModel, rows: Sequence[Row], prompts: Sequence[list[int]], ends: Sequence[str] | None = None
) -> list[RowScore]:
    """Return the scores of the model's greedy answers to the prompts, each against the output of its row.

    An answer is cut where the prompt's text in `ends` occurs; an empty text cuts nothing.
    """
    model, tokenizer, settings = probed.model, probed.tokenizer, probed.evaluation
    end_ids = end_tokens(model, tokenizer, probed.prompt)
    texts = generate(model, tokenizer, rows, prompts, end_ids, settings.max_new_tokens, settings.batch_tokens)
    if ends is not None:
        texts = [text.partition(end)[0] if end else text for text, end in zip(texts, ends, strict=True)]
    return [
        RowScore(row.id, document_id(row.id), answer_score(row, text), text)
        for row, text in zip(rows, texts, strict=True)
    ]


def whole_answers(probed: ProbedModel, rows: Sequence[Row]) -> list[str]:
    """Return the model's greedy answers to the rows, each up to an end token or to the most tokens of an answer.

    Nothing is expected of them, so that none is cut where its score is decided.
    """
    model, tokenizer, settings = probed.model, probed.tokenizer, probed.evaluation
    prompts = encode_prompts([row.input for row in rows], tokenizer, probed.prompt)
    ends = end_tokens(model, tokenizer, probed.prompt)
    open_ended = [replace(row, kind=Kind.COMPLETION, output="") for row in rows]
    texts = generate(model, tokenizer, open_ended, prompts, ends, settings.max_new_tokens, settings.batch_tokens)
    return [text.strip() for text in texts]


def measure_forget_rows(probed: ProbedModel, measured: Measured) -> Measurement:
    """Return the scores of all forget rows of the kind that is measured, asked as they are."""
    return Measurement(score_rows(probed, forget_rows(probed.corpus, measured)))
