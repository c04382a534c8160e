"""What a model still says of the forget set: the measure under most probes."""

from collections.abc import Sequence

from unlearning.config.probe import Measured
from unlearning.data.encoding import encode_prompts
from unlearning.data.ids import document_id
from unlearning.data.rows import Corpus, Kind, Row
from unlearning.evaluation.generation import generate
from unlearning.evaluation.semeval import row_score
from unlearning.probes.probe import DoesNotApplyError, Measurement, ProbedModel, RowScore

KINDS = {Measured.knowledge: Kind.QUESTION, Measured.regurgitation: Kind.COMPLETION}
MEASURES = {Measured.knowledge: "exact match", Measured.regurgitation: "ROUGE-L recall"}
ROW_NAMES = {Measured.knowledge: "questions", Measured.regurgitation: "completions"}


def forget_rows(corpus: Corpus, measured: Measured) -> list[Row]:
    """The forget set's questions, or its completions. Raises DoesNotApplyError where there are none."""
    rows = [row for row in corpus.forget if row.kind is KINDS[measured]]
    if not rows:
        raise DoesNotApplyError(f"the forget set has no {ROW_NAMES[measured]}")
    return rows


def score_rows(probed: ProbedModel, rows: Sequence[Row]) -> list[RowScore]:
    """The rows asked as the evaluation asks them."""
    return score_prompts(probed, rows, encode_prompts([row.input for row in rows], probed.tokenizer, probed.prompt))


def score_prompts(
    probed: ProbedModel, rows: Sequence[Row], prompts: Sequence[list[int]], ends: Sequence[str] | None = None
) -> list[RowScore]:
    """The model's greedy answers to prompts, each scored against its row's output.

    A text in `ends`, one a prompt, ends an answer before its own end; an empty one does not.
    """
    settings = probed.evaluation
    texts = generate(probed.model, probed.tokenizer, rows, prompts, settings.max_new_tokens, settings.batch_tokens)
    if ends is not None:
        texts = [text.partition(end)[0] if end else text for text, end in zip(texts, ends, strict=True)]
    return [
        RowScore(row.id, document_id(row.id), row_score(row.kind, row.output, text), text)
        for row, text in zip(rows, texts, strict=True)
    ]


def measure_forget_rows(probed: ProbedModel, measured: Measured) -> Measurement:
    """All forget rows of the kind, as they are."""
    return Measurement(score_rows(probed, forget_rows(probed.corpus, measured)))
