"""MUSE (Shi et al. 2024, arXiv 2407.06460): its metrics on one model, as its released code computes them.

- Verbatim memorisation (VerbMem) and knowledge memorisation (KnowMem): ROUGE-L F1, 0 to 1. Lower is better on the
  forget set, higher on the retain set.
- Privacy leakage (PrivLeak) of documents; see the file `privacy`.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from unlearning.data.encoding import encode_prompts
from unlearning.data.rows import Document, Kind, Row
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.generation import end_tokens, generate
from unlearning.evaluation.likelihood import document_tokens
from unlearning.evaluation.metrics import MUSE_METRICS
from unlearning.evaluation.privacy import LOSS, least_likely_losses, privacy_metrics
from unlearning.evaluation.result import ItemScore
from unlearning.evaluation.rouge import SPLITTER, common_subsequence
from unlearning.evaluation.text import official_text
from unlearning.progress.shown import shown_progress

VERBATIM_TOKENS = 128
"""Most tokens of a continuation, both of the generated and of the true one."""
KNOWLEDGE_TOKENS = 32
"""Most tokens of an answer."""
ENDS = ("\n\n", "\nQuestion", "Question:")
"""An answer ends before any of these, since models continue with another question, as in the examples before it."""
UNSCORED = "."
"""Output given to `generate`, which stops no answer early for it: F1 also counts what follows the right answer."""


def muse(evaluated: EvaluatedModel) -> list[ItemScore]:
    """Return ROUGE-L F1 of each passage and question, and the Min-40% loss of each document.

    The groups are verbatim, knowledge_forget, knowledge_retain, members and nonmembers. Empty without MUSE's questions.

    Raises InputError for what does not fit into the model's context, and for losses or logits that are not a number.
    """
    corpus, sets = evaluated.corpus, evaluated.corpus.muse
    if sets is None:
        return []
    texts = {"verbatim": sets.verbatim, "knowledge_forget": sets.forget, "knowledge_retain": sets.retain}
    documents = {"members": corpus.members, "nonmembers": corpus.nonmembers}
    # The processes divide one list of all items, so that each gets a share of every kind.
    items = [(group, item) for kind in (texts, documents) for group, found in kind.items() for item in found]
    own = evaluated.share.of(items)
    scores = []
    for group in texts:
        new_tokens = VERBATIM_TOKENS if group == "verbatim" else KNOWLEDGE_TOKENS
        rows = [item for name, item in own if name == group and isinstance(item, Row)]
        scores += _texts(evaluated, group, rows, new_tokens)
    return scores + _documents(evaluated, [(name, item) for name, item in own if isinstance(item, Document)])


def muse_metrics(items: Sequence[ItemScore], reference: Sequence[ItemScore] | None) -> dict[str, float | None]:
    """Return all MUSE_METRICS, None where the data lacks something; `reference` are a retrained model's items."""
    metrics: dict[str, float | None] = dict.fromkeys(MUSE_METRICS)
    for group in ("verbatim", "knowledge_forget", "knowledge_retain"):
        values = [item.values["rouge_f1"] for item in items if item.group == group]
        metrics[f"muse_{group}"] = fmean(values) if values else None
    return metrics | privacy_metrics("muse", "members", "nonmembers", items, reference or ())


def rouge_l_f1(expected: str, generated: str) -> float:
    """Return 2 LCS / (words in expected + words in generated), 0 to 1; words are not stemmed, as in MUSE's code."""
    target, said = SPLITTER.tokenize(expected), SPLITTER.tokenize(generated)
    return 2 * common_subsequence(target, said) / (len(target) + len(said)) if target and said else 0.0


def answer_part(text: str) -> str:
    """Return the text before the first of ENDS."""
    for end in ENDS:
        text = text.split(end)[0]
    return text


def _texts(evaluated: EvaluatedModel, group: str, rows: Sequence[Row], new_tokens: int) -> list[ItemScore]:
    """Return the score of each row's greedy answer; the true continuation of a passage is cut to as many tokens."""
    if not rows:
        return []
    tokenizer = evaluated.tokenizer
    prompts = encode_prompts([row.input for row in rows], tokenizer, evaluated.prompt)
    unscored = [replace(row, output=UNSCORED, kind=Kind.COMPLETION) for row in rows]
    model, ends = evaluated.model, end_tokens(evaluated.model, tokenizer, evaluated.prompt)
    texts = generate(model, tokenizer, unscored, prompts, ends, new_tokens, evaluated.config.batch_tokens)
    scores = []
    for row, text in zip(rows, texts, strict=True):
        if row.kind is Kind.COMPLETION:
            expected = official_text(tokenizer, tokenizer(row.output)["input_ids"][:new_tokens])
        else:
            expected, text = row.output, answer_part(text)
        scores.append(ItemScore(group, row.id, {"rouge_f1": rouge_l_f1(expected, text)}))
    return scores


def _documents(evaluated: EvaluatedModel, documents: Sequence[tuple[str, Document]]) -> list[ItemScore]:
    """Return the Min-40% loss of each document's raw text, of all its tokens but the first."""
    model, tokenizer = evaluated.model, evaluated.tokenizer
    sequences = [document_tokens(model, tokenizer, document) for _, document in documents]
    names = [f"document {document.id}" for _, document in documents]
    with shown_progress("MUSE documents", len(documents)) as advance:
        losses = least_likely_losses(
            model, sequences, [1] * len(sequences), names, evaluated.config.batch_tokens, advance
        )
    return [
        ItemScore(group, document.id, {LOSS: loss}) for (group, document), loss in zip(documents, losses, strict=True)
    ]
