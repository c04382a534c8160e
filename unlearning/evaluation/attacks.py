"""Membership attacks: values that tell whether a model was trained on a document, from the likelihood of its tokens.

For every attack a lower value means that the document is more likely a member. The formulas are those of the authors'
code and of MIMIR (iamgroot42/mimir).
"""

import math
import zlib

from torch import Tensor

from unlearning.data.rows import Document
from unlearning.errors import InputError
from unlearning.evaluation.result import DocumentScore

MIN_K_SHARE = 0.2
"""Share of the tokens that Min-K% and Min-K%++ use: their k."""


def document_score(document: Document, member: bool, log_probabilities: Tensor, standardised: Tensor) -> DocumentScore:
    """Return the values of all attacks on one document.

    `log_probabilities` and `standardised` (T - 1,) have a value for each of the T tokens but the first.

    - loss_nats = -mean(log_probabilities); 0 or more.
    - zlib = loss_nats / bytes of the text in UTF-8 after zlib (Carlini et al. 2021, arXiv 2012.07805). Text that any
      model finds easy, such as repetitions, thus counts for less.
    - min_k = -mean of the lowest 20% of log_probabilities (Shi et al. 2024, arXiv 2310.16789); 0 or more.
    - min_k_plus = -mean of the lowest 20% of standardised (Zhang et al. 2024, arXiv 2404.02936); any real number.

    Raises InputError for a loss that is not a number.
    """
    loss: float = -log_probabilities.sum().item() / len(log_probabilities)
    if math.isnan(loss):
        raise InputError(f"document {document.id}: the model's loss is not a number (NaN); its weights are broken")
    return DocumentScore(
        id=document.id,
        member=member,
        loss_nats=loss,
        zlib=loss / len(zlib.compress(document.text.encode())),
        min_k=-lowest_mean(log_probabilities),
        min_k_plus=-lowest_mean(standardised),
    )


def lowest_mean(values: Tensor) -> float:
    """Return the mean of the lowest 20% of the values (N,).

    The number of values is rounded down, as in the authors' code, and is at least one.
    """
    lowest = values.topk(max(1, int(len(values) * MIN_K_SHARE)), largest=False).values
    mean: float = lowest.double().mean().item()
    return mean
