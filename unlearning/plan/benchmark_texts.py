"""The texts that TOFU, MUSE, WMDP and RWKU put to a model, by part of an evaluation: what a plan counts."""

from collections.abc import Iterable, Sequence

from unlearning.data.question_text import HARNESS_HEAD, letters_prompt
from unlearning.data.rows import Corpus, Row, TofuQuestion
from unlearning.evaluation.rwku import LEVELS, TEXTS
from unlearning.evaluation.tofu import SETS
from unlearning.evaluation.tofu_answers import answer_rows

Texts = Sequence[tuple[str, str]]
"""What the model is given, and what of it gets logits."""


def generated_texts(corpus: Corpus) -> list[tuple[str, str]]:
    """Return each prompt that a benchmark lets the model answer, with the right answer."""
    found = [(question.question, question.answer) for question in _tofu(corpus)]
    if corpus.muse is not None:
        found += _pairs((*corpus.muse.verbatim, *corpus.muse.forget, *corpus.muse.retain))
    if corpus.rwku is not None:
        probes = [probe for name in LEVELS for probe in getattr(corpus.rwku, name)]
        found += [(probe.question + probe.beginning, probe.answer) for probe in probes]
    return found


def scored_texts(corpus: Corpus) -> dict[str, Texts]:
    """Return the texts whose likelihood a benchmark asks for, by the names of the parts' progress."""
    found: dict[str, Texts] = {
        "TOFU answers": _pairs(row for question in _tofu(corpus) for row in answer_rows(question)),
        "WMDP": [(letters_prompt(question, (), HARNESS_HEAD), "A") for question in corpus.wmdp],
    }
    if corpus.tofu is not None and corpus.tofu.holdout:
        forgotten = _pairs(answer_rows(question)[0] for question in corpus.tofu.forget)
        found["TOFU holdout"] = [*forgotten, *_pairs(corpus.tofu.holdout)]
    if corpus.muse is not None:
        found["MUSE documents"] = [("", document.text) for document in (*corpus.members, *corpus.nonmembers)]
    if corpus.rwku is not None:
        found["RWKU texts"] = [("", text.text) for name in TEXTS for text in getattr(corpus.rwku, name)]
    return found


def _tofu(corpus: Corpus) -> list[TofuQuestion]:
    return [] if corpus.tofu is None else [question for name in SETS for question in getattr(corpus.tofu, name)]


def _pairs(rows: Iterable[Row]) -> list[tuple[str, str]]:
    return [(row.input, row.output) for row in rows]
