"""The work of a run by part, in floating-point operations: two for each product and its sum in a matrix product."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from unlearning.data.packing import supervised_tokens
from unlearning.data.question_text import MMLU_HEAD, cloze_prompt, letters_prompt
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.parts import asked, has_letters, scored_documents
from unlearning.plan.benchmark_texts import Texts, generated_texts, scored_texts
from unlearning.plan.counts import Counts
from unlearning.schedules.plan import PlanStep
from unlearning.training.step_data import StepLayout, TrainingRows
from unlearning.training.table_sizes import row_numbers

SAMPLE = 256
"""Texts that are tokenised to know how long all of them are, so that a plan is made in a second or two."""


@dataclass(frozen=True)
class Work:
    """The work of one part."""

    items: int
    """Rows, documents, questions or steps: what its progress counts."""
    tokens: int
    flops: float


def forward_flops(counts: Counts, tokens: float, scored: float, length: float) -> float:
    """Return the operations of a forward pass.

        2 x weights of the layers x tokens  +  2 x length x heads' width x layers x tokens  +  2 x V x width x scored

    The middle term is attention: a query meets `length` / 2 keys and values on average. `scored` is the number of
    tokens that get logits, V the size of the vocabulary.
    """
    layers = 2.0 * counts.in_layers * tokens
    attention = 2.0 * length * counts.heads_width * counts.depth * tokens
    return layers + attention + 2.0 * counts.vocabulary * counts.width * scored


def training_work(
    counts: Counts, steps: Sequence[PlanStep], rows: TrainingRows, layout: StepLayout, checkpointing: bool
) -> Work:
    """Return the work of all steps: forward passes, and backward passes through the layers that need one.

    A backward pass makes the gradients of hidden states (as much as a forward pass of these layers) and those of the
    weights that move (as much as a forward pass of these weights). Rows whose frozen first layers have been run skip
    these. A head that moves is computed once more for its gradient, and so are layers with gradient checkpointing.
    """
    numbers = [number for step in steps for number in row_numbers(step, rows, layout)]
    tokens = sum(len(rows[number].input_ids) for number in numbers)
    skipped = sum(len(rows[number].input_ids) for number in numbers if number in layout.prefix_rows)
    scored = sum(supervised_tokens(rows[number]) for number in numbers)
    frozen = counts.in_layers - counts.moving_in_layers
    share = counts.moving / counts.depth
    length = tokens / max(1, len(numbers))
    flops = forward_flops(counts, tokens, scored, length) - 2.0 * frozen * skipped
    again = (1 + checkpointing) * (forward_flops(counts, tokens, 0, length) * share)
    head = 2.0 * counts.vocabulary * counts.width * scored * (3 if counts.head_trained else 1)
    return Work(len(steps), tokens, flops + again + 2.0 * (counts.trained_in_layers + counts.adapters) * tokens + head)


def scoring_work(counts: Counts, evaluated: EvaluatedModel) -> dict[str, Work]:
    """Return the work of one evaluation by part, named as its progress is; parts that have nothing are left out.

    A generated answer counts as long as the right one. The model's weights need not be there.
    """
    corpus, tokenizer = evaluated.corpus, evaluated.tokenizer
    rows = [(row.input, row.output) for row in (*corpus.forget, *corpus.retain)]
    questions = asked(evaluated)
    found = {
        "generation": _text_work(counts, [*rows, *generated_texts(corpus)], tokenizer),
        "memorisation": _text_work(counts, rows, tokenizer),
    }
    texts = [document.text for documents in scored_documents(evaluated) for document in documents]
    if texts:
        tokens = tokens_of(texts, tokenizer)
        found["membership"] = _work(counts, len(texts), tokens, tokens)
    if questions:
        options = sum(len(question.options) for question in questions)
        ends = tokens_of([" ".join(question.options) for question in questions], tokenizer)
        tokens = tokens_of([cloze_prompt(question) for question in questions], tokenizer) + ends
        found["utility (cloze)"] = _work(counts, options, tokens, ends)
        if has_letters(corpus):
            texts = [letters_prompt(question, (), MMLU_HEAD) for question in questions]
            found["utility (letters)"] = _work(counts, len(texts), tokens_of(texts, tokenizer), len(texts))
    found |= {name: _text_work(counts, pairs, tokenizer) for name, pairs in scored_texts(corpus).items()}
    return {name: work for name, work in found.items() if work.items}


def tokens_of(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> int:
    """Return about how many tokens the texts have together: counted in SAMPLE of them at even distances."""
    if not texts:
        return 0
    chosen = [texts[index * len(texts) // SAMPLE] for index in range(SAMPLE)] if len(texts) > SAMPLE else list(texts)
    found = sum(map(len, tokenizer(chosen, add_special_tokens=False)["input_ids"]))
    return round(found * sum(map(len, texts)) / max(1, sum(map(len, chosen))))


def _text_work(counts: Counts, texts: Texts, tokenizer: PreTrainedTokenizerBase) -> Work:
    """Return the work of texts of which the second part gets logits."""
    scored = tokens_of([text for _, text in texts], tokenizer)
    return _work(counts, len(texts), tokens_of([text for text, _ in texts], tokenizer) + scored, scored)


def _work(counts: Counts, items: int, tokens: int, scored: int) -> Work:
    return Work(items, tokens, forward_flops(counts, tokens, scored, tokens / max(1, items)))
