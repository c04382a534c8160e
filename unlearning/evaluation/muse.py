"""MUSE (Shi et al. 2024, arXiv 2407.06460): its metrics on one model, as its released code computes them.

- Verbatim memorisation (VerbMem) and knowledge memorisation (KnowMem): ROUGE-L F1, 0 to 1. Lower is better on the
  forget set, higher on the retain set.
- Privacy leakage (PrivLeak): 100 (AUC - A) / A in percent, where A is the AUC of the retrained model; 0 is best.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearning.data.encoding import encode_prompts
from unlearning.data.rows import Document, Kind, Row
from unlearning.errors import InputError
from unlearning.evaluation.evaluated_model import EvaluatedModel
from unlearning.evaluation.generation import end_tokens, generate
from unlearning.evaluation.likelihood import LOGITS_LIMIT, document_tokens, length_batches, right_padded
from unlearning.evaluation.metrics import MUSE_METRICS
from unlearning.evaluation.model_state import evaluation_mode
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
MIN_K_SHARE = 0.4
"""Share of a document's tokens whose loss counts."""
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
    auc, retrained = privacy_auc(items), privacy_auc(reference or ())
    metrics["muse_auc"] = auc
    metrics["muse_privacy_leakage"] = privacy_leakage(auc, retrained)
    return metrics


def privacy_auc(items: Sequence[ItemScore]) -> float | None:
    """Return how often a member has a greater loss than a non-member, over all pairs, 0 to 1; None without pairs.

    Equal losses count half. This is 1 - the usual AUC of a loss: near 0 the model still knows its members.
    """
    losses = [(item.group == "members", item.values["min_40_nats"]) for item in items if "min_40_nats" in item.values]
    if len({member for member, _ in losses}) < 2:
        return None
    return float(roc_auc_score([member for member, _ in losses], [loss for _, loss in losses]))


def privacy_leakage(auc: float | None, retrained: float | None) -> float | None:
    """Return 100 (auc - retrained) / retrained, -100 or more; None if one is missing or `retrained` is 0."""
    return 100 * (auc - retrained) / retrained if auc is not None and retrained else None


def rouge_l_f1(expected: str, generated: str) -> float:
    """Return 2 LCS / (words in expected + words in generated), 0 to 1; words are not stemmed, as in MUSE's code."""
    target, said = SPLITTER.tokenize(expected), SPLITTER.tokenize(generated)
    return 2 * common_subsequence(target, said) / (len(target) + len(said)) if target and said else 0.0


def least_likely_losses(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    documents: Sequence[Document],
    batch_tokens: int,
    advance: Callable[[int], None],
) -> list[float]:
    """Return the Min-40% loss of each document's raw text, in nats a token; see `min_k_loss`.

    Raises InputError for a document longer than the model's context, one of fewer than two tokens, or a loss that is
    not a number.
    """
    sequences = [document_tokens(model, tokenizer, document) for document in documents]
    losses = [0.0] * len(sequences)
    limit = min(batch_tokens, LOGITS_LIMIT // model.get_input_embeddings().weight.shape[0])
    with evaluation_mode(model):
        for batch in length_batches(list(map(len, sequences)), limit):
            ids = right_padded([sequences[index] for index in batch], model.device)
            logits = model(input_ids=ids, use_cache=False).logits
            for row, index in enumerate(batch):
                last = len(sequences[index]) - 1
                nats = cross_entropy(logits[row, :last].float(), ids[row, 1 : last + 1], reduction="none")
                losses[index] = min_k_loss(nats)
                if math.isnan(losses[index]):
                    name = documents[index].id
                    raise InputError(f"document {name}: the model's loss is not a number (NaN); its weights are broken")
            advance(len(batch))
    return losses


def min_k_loss(nats: Tensor) -> float:
    """Return the mean of the greatest 40% of the tokens' losses (N,).

    The number of tokens is rounded down, and is at least one. Source: Min-K% Prob, Shi et al. 2024, arXiv 2310.16789;
    MUSE takes k = 40.
    """
    greatest = nats.topk(max(1, int(len(nats) * MIN_K_SHARE))).values
    mean: float = greatest.double().mean().item()
    return mean


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
    with shown_progress("MUSE documents", len(documents)) as advance:
        losses = least_likely_losses(
            evaluated.model,
            evaluated.tokenizer,
            [document for _, document in documents],
            evaluated.config.batch_tokens,
            advance,
        )
    return [
        ItemScore(group, document.id, {"min_40_nats": loss})
        for (group, document), loss in zip(documents, losses, strict=True)
    ]
