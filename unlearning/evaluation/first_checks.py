"""What tells, before any weights are read, that an evaluation cannot be made: texts that do not fit the model.

Rows of the forget and the retain set are checked for training already; here are the other texts of an evaluation. Each
part checks its own texts once more when it is measured.
"""

from collections.abc import Iterable, Sequence
from itertools import chain

from transformers import PreTrainedModel

from unlearning.data.encoding import encode_prompts
from unlearning.data.question_text import HARNESS_HEAD, MMLU_HEAD, cloze_prompt, letters_prompt, option_continuation
from unlearning.data.rows import Question
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.likelihood import document_tokens
from unlearning.evaluation.model_state import context_tokens, require_fits
from unlearning.evaluation.multiple_choice import fitting_prompt, letter_tokens
from unlearning.evaluation.parts import asked, has_letters, scored_documents
from unlearning.evaluation.rwku import LEVELS, probe_prompts
from unlearning.evaluation.tofu import SETS
from unlearning.evaluation.tofu_answers import answer_rows, encoded_answers

ADDED_TOKENS = 16
"""More tokens than any tokenizer puts around a text by itself."""


def require_lengths(evaluated: EvaluatedModel) -> None:
    """Raise InputError for the first text that a part of the evaluation would refuse for its length.

    The model's weights need not be there. Only texts that have so many bytes that they may be too long are tokenised.
    """
    corpus, model, tokenizer = evaluated.corpus, evaluated.model, evaluated.tokenizer
    for document in chain(*((corpus.members, corpus.nonmembers) if corpus.muse else scored_documents(evaluated))):
        if _may_be_too_long(document.text, model) or len(document.text) < ADDED_TOKENS:
            document_tokens(model, tokenizer, document)
    questions = asked(evaluated)
    _require_cloze(evaluated, questions)
    if questions and has_letters(corpus):
        _require_letters(evaluated, questions, MMLU_HEAD)
    _require_tofu(evaluated)
    _require_muse(evaluated)
    if corpus.wmdp:
        _require_letters(evaluated, corpus.wmdp, HARNESS_HEAD)
    _require_rwku(evaluated)


def _require_cloze(evaluated: EvaluatedModel, questions: Iterable[Question]) -> None:
    for question in questions:
        prompt = cloze_prompt(question)
        for text in (prompt + option_continuation(option) for option in question.options):
            if _may_be_too_long(text, evaluated.model):
                tokens = len(evaluated.tokenizer(text)["input_ids"])
                require_fits(evaluated.model, f"question {question.id}", tokens, 0)


def _require_letters(evaluated: EvaluatedModel, questions: Sequence[Question], head: str) -> None:
    """Refuse questions that are too long without examples; examples are left out where they do not fit."""
    letter_tokens(evaluated.tokenizer)
    for question in questions:
        text = letters_prompt(question, (), head)
        if _may_be_too_long(text, evaluated.model):
            tokens = evaluated.tokenizer(text)["input_ids"]
            fitting_prompt(evaluated.model, evaluated.tokenizer, question, (), tokens, head)


def _require_tofu(evaluated: EvaluatedModel) -> None:
    sets = evaluated.corpus.tofu
    if sets is not None:
        rows = [row for name in SETS for question in getattr(sets, name) for row in answer_rows(question)]
        encoded_answers(evaluated, [*rows, *sets.holdout])


def _require_muse(evaluated: EvaluatedModel) -> None:
    sets = evaluated.corpus.muse
    if sets is not None:
        rows = [*sets.verbatim, *sets.forget, *sets.retain]
        prompts = encode_prompts([row.input for row in rows], evaluated.tokenizer, evaluated.prompt)
        for row, tokens in zip(rows, prompts, strict=True):
            require_fits(evaluated.model, f"row {row.id}", len(tokens), 1)


def _require_rwku(evaluated: EvaluatedModel) -> None:
    sets = evaluated.corpus.rwku
    if sets is not None:
        probes = [probe for name in LEVELS for probe in getattr(sets, name)]
        for probe, tokens in zip(probes, probe_prompts(evaluated, probes), strict=True):
            require_fits(evaluated.model, f"row {probe.id}", len(tokens), 1)
        for document in (*sets.mia_forget, *sets.mia_retain):
            document_tokens(evaluated.model, evaluated.tokenizer, document)


def _may_be_too_long(text: str, model: PreTrainedModel) -> bool:
    """Return whether the text has so many bytes that it may have more tokens than the context: a token has a byte."""
    context = context_tokens(model)
    return context is not None and len(text.encode()) + ADDED_TOKENS > context
