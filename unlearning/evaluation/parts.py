"""The parts of an evaluation: each takes a model with its data and settings, and returns a list of scores.

The parts do not depend on one another, so each is written to disk as soon as it is measured, and read from there later.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from unlearning.data.encoding import encode_prompts
from unlearning.data.question_text import LETTERS
from unlearning.data.rows import Corpus, Document, Question
from unlearning.evaluation.answer_score import answer_score
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.generation import end_tokens, generate
from unlearning.evaluation.likelihood import document_scores
from unlearning.evaluation.memorisation import memorisation
from unlearning.evaluation.multiple_choice import cloze_correct, letters_correct
from unlearning.evaluation.muse import muse
from unlearning.evaluation.result import DocumentScore, Generation, ItemScore, QuestionScore
from unlearning.evaluation.rwku import rwku
from unlearning.evaluation.tofu import tofu
from unlearning.evaluation.wmdp import wmdp
from unlearning.progress.shown import shown_progress

Item = TypeVar("Item")


@dataclass(frozen=True)
class Part:
    """One part of an evaluation."""

    score: type[Any]
    """The dataclass of its scores."""
    measure: Callable[[EvaluatedModel], list[Any]]
    divided: bool = False
    """Whether `measure` returns one score for each item that `EvaluatedModel.share` picks, so that several processes
    can share the work. If not, the first process does it alone."""


def generations(evaluated: EvaluatedModel) -> list[Generation]:
    """Return the answers to all forget rows, then to all retain rows, each with its score."""
    rows = evaluated.share.of([*evaluated.corpus.forget, *evaluated.corpus.retain])
    config, tokenizer = evaluated.config, evaluated.tokenizer
    prompts = encode_prompts([row.input for row in rows], tokenizer, evaluated.prompt) if rows else []
    ends = end_tokens(evaluated.model, tokenizer, evaluated.prompt)
    texts = generate(evaluated.model, tokenizer, rows, prompts, ends, config.max_new_tokens, config.batch_tokens)
    return [
        Generation(
            id=row.id,
            split=row.split.value,
            task=row.task,
            kind=row.kind.value,
            input=row.input,
            expected=row.output,
            generated=text,
            score=answer_score(row, text),
            own=row.own,
        )
        for row, text in zip(rows, texts, strict=True)
    ]


def membership(evaluated: EvaluatedModel) -> list[DocumentScore]:
    """Return the membership scores of members, then of non-members; empty unless the data has both."""
    member_documents, nonmember_documents = scored_documents(evaluated)
    documents = evaluated.share.of([*member_documents, *nonmember_documents])
    if not documents:
        return []
    members = len(evaluated.share.of(member_documents))
    with shown_progress("membership", len(documents)) as advance:
        return document_scores(
            evaluated.model, evaluated.tokenizer, documents, members, evaluated.config.batch_tokens, advance
        )


def cloze(evaluated: EvaluatedModel) -> list[QuestionScore]:
    """Return whether each question is answered right in the cloze format, by the likelihood of each option."""
    questions = evaluated.share.of(asked(evaluated))
    if not questions:
        return []
    with shown_progress("utility (cloze)", sum(len(question.options) for question in questions)) as advance:
        right = cloze_correct(evaluated.model, evaluated.tokenizer, questions, evaluated.config.batch_tokens, advance)
    return _question_scores(questions, right)


def letters(evaluated: EvaluatedModel) -> list[QuestionScore]:
    """Return whether each question is answered right in the letter format, by the probability of the letters A-D.

    Empty unless every question has four options.
    """
    questions, corpus, config = evaluated.share.of(asked(evaluated)), evaluated.corpus, evaluated.config
    if not questions or not has_letters(corpus):
        return []
    with shown_progress("utility (letters)", len(questions)) as advance:
        right = letters_correct(
            evaluated.model, evaluated.tokenizer, questions, corpus.examples, config.shots, config.batch_tokens, advance
        )
    return _question_scores(questions, right)


PARTS = {
    "generations": Part(Generation, generations, divided=True),
    "membership": Part(DocumentScore, membership, divided=True),
    "cloze": Part(QuestionScore, cloze, divided=True),
    "letters": Part(QuestionScore, letters, divided=True),
    "memorisation": Part(ItemScore, memorisation, divided=True),
    "tofu": Part(ItemScore, tofu, divided=True),
    "muse": Part(ItemScore, muse, divided=True),
    "wmdp": Part(ItemScore, wmdp, divided=True),
    "rwku": Part(ItemScore, rwku, divided=True),
}


def scored_documents(evaluated: EvaluatedModel) -> tuple[list[Document], list[Document]]:
    """Return the members and the non-members that are scored, at most `max_documents` of each; none unless both are."""
    corpus, limit = evaluated.corpus, evaluated.config.max_documents
    if not corpus.members or not corpus.nonmembers:
        return [], []
    return evenly_spread(corpus.members, limit), evenly_spread(corpus.nonmembers, limit)


def asked(evaluated: EvaluatedModel) -> list[Question]:
    """Return the questions of general knowledge that are asked, at most `max_questions` of them."""
    return evenly_spread(evaluated.corpus.questions, evaluated.config.max_questions)


def evenly_spread(items: Sequence[Item], limit: int | None) -> list[Item]:
    """Return at most `limit` of the items, at equal distances; all of them if `limit` is None."""
    if limit is None or limit >= len(items):
        return list(items)
    return [items[index * len(items) // limit] for index in range(limit)]


def has_letters(corpus: Corpus) -> bool:
    """Return whether every question, and every worked example, has four options, as the letter format needs."""
    return all(len(question.options) == len(LETTERS) for question in (*corpus.questions, *corpus.examples))


def _question_scores(questions: Sequence[Question], right: Sequence[bool]) -> list[QuestionScore]:
    return [QuestionScore(item.id, item.subject, correct) for item, correct in zip(questions, right, strict=True)]
