"""All metrics of one model: generation, membership, utility, and the official score over them."""

import logging
from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.config import EvaluationConfig, PromptConfig, QuestionFormat
from unlearning.data.encoding import encode_prompts
from unlearning.data.question_text import LETTERS
from unlearning.data.rows import Corpus, Question
from unlearning.evaluation.generation import generate
from unlearning.evaluation.likelihood import document_losses
from unlearning.evaluation.membership import membership_auc, mia_score
from unlearning.evaluation.model_state import require_match
from unlearning.evaluation.multiple_choice import cloze_correct, letters_correct
from unlearning.evaluation.progress import progress_bar
from unlearning.evaluation.result import METRICS, EvaluationResult, Generation, MembershipLoss
from unlearning.evaluation.semeval import final_score, probe_means, row_score, task_aggregate, term_keys

log = logging.getLogger(__name__)


def evaluate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    corpus: Corpus,
    config: EvaluationConfig,
    prompt: PromptConfig,
    label: str,
) -> EvaluationResult:
    """Score the model on its device; `label` names it in the log.

    `metrics` has every key of METRICS, and a mean for each split, task and probe. What the data does not allow is None,
    and `missing` says why, a line each, if the final score needs it.

    Raises InputError for a tokenizer of another model, a missing chat template, a row, document or question that does
    not fit into the model's context, and for losses or logits that are not a number.
    """
    require_match(model, tokenizer)
    generations = generate_rows(model, tokenizer, corpus, config, prompt)
    membership = membership_losses(model, tokenizer, corpus, config)
    metrics: dict[str, float | None] = dict.fromkeys(METRICS)
    metrics |= probe_means(generations)
    metrics |= utility_metrics(model, tokenizer, corpus, config)
    if membership:
        auc = membership_auc(membership)
        metrics |= {"mia_auc": auc, "mia_score": mia_score(auc)}
    metrics["task_aggregate"] = task_aggregate(metrics)
    metrics["final"] = final_score(metrics)
    log.info("%s: final score %s", label, metrics["final"])
    return EvaluationResult(metrics, missing_parts(metrics, corpus, config), generations, membership)


def generate_rows(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    corpus: Corpus,
    config: EvaluationConfig,
    prompt: PromptConfig,
) -> list[Generation]:
    """Answers to all forget rows, then all retain rows, each with its score."""
    rows = [*corpus.forget, *corpus.retain]
    prompts = encode_prompts([row.input for row in rows], tokenizer, prompt) if rows else []
    texts = generate(model, tokenizer, rows, prompts, config.max_new_tokens, config.batch_tokens)
    return [
        Generation(
            id=row.id,
            split=row.split.value,
            task=row.task,
            kind=row.kind.value,
            input=row.input,
            expected=row.output,
            generated=text,
            score=row_score(row.kind, row.output, text),
        )
        for row, text in zip(rows, texts, strict=True)
    ]


def membership_losses(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, corpus: Corpus, config: EvaluationConfig
) -> list[MembershipLoss]:
    """Losses of members, then non-members; empty unless there are both."""
    if not corpus.members or not corpus.nonmembers:
        return []
    documents = [*corpus.members, *corpus.nonmembers]
    with progress_bar("membership", len(documents)) as advance:
        losses = document_losses(model, tokenizer, documents, config.batch_tokens, advance)
    return [
        MembershipLoss(document.id, index < len(corpus.members), loss)
        for index, (document, loss) in enumerate(zip(documents, losses, strict=True))
    ]


def evenly_spread(questions: Sequence[Question], limit: int | None) -> list[Question]:
    """At most `limit` of the questions, at equal distances; None: all."""
    if limit is None or limit >= len(questions):
        return list(questions)
    return [questions[index * len(questions) // limit] for index in range(limit)]


def utility_metrics(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, corpus: Corpus, config: EvaluationConfig
) -> dict[str, float | None]:
    """Accuracy over all questions (the micro average) in each format, and as utility that of the configured one."""
    questions = evenly_spread(corpus.questions, config.max_questions)
    cloze = letters = None
    if questions:
        with progress_bar("utility (cloze)", sum(len(question.options) for question in questions)) as advance:
            correct = cloze_correct(model, tokenizer, questions, config.batch_tokens, advance)
        cloze = sum(correct) / len(correct)
    if questions and has_letters(corpus):
        with progress_bar("utility (letters)", len(questions)) as advance:
            correct = letters_correct(
                model, tokenizer, questions, corpus.examples, config.shots, config.batch_tokens, advance
            )
        letters = sum(correct) / len(correct)
    utility = cloze if config.utility_format is QuestionFormat.cloze else letters
    return {"utility": utility, "utility_cloze": cloze, "utility_letters": letters}


def has_letters(corpus: Corpus) -> bool:
    """Whether every question can be put in the letter format."""
    return all(len(question.options) == len(LETTERS) for question in (*corpus.questions, *corpus.examples))


def missing_parts(metrics: dict[str, float | None], corpus: Corpus, config: EvaluationConfig) -> list[str]:
    """Why the final score is missing, a line for each part of it; empty when it is there."""
    missing = []
    absent = [key for key in term_keys() if metrics[key] is None]
    if absent:
        missing.append(f"task_aggregate: no rows for {', '.join(absent)}")
    if metrics["mia_score"] is None:
        absent = [name for name in ("members", "nonmembers") if not getattr(corpus, name)]
        missing.append(f"mia_score: the data has no {' and no '.join(absent)}")
    if metrics["utility"] is None:
        reason = f"not all questions have {len(LETTERS)} options, as format {config.utility_format.value} needs"
        missing.append(f"utility: {reason if corpus.questions else 'the data has no questions'}")
    return missing
