"""Membership inference: does a model's likelihood of a document reveal that the document was in the forget set?

AUC: probability that a member has a lower value than a non-member; 0 to 1, 0.5 is best. Score of the SemEval task:
1 - 2 |AUC - 0.5|; 0 to 1, higher is better. True positive rate at a low false positive rate: the share of members found
when hardly any non-member is accused; 0 to 1, lower is better.

The non-members also show what unlearning did to other text: their mean loss ("neutral_nats") should not rise.
"""

from collections.abc import Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from unlearning.evaluation.result import DocumentScore

ATTACKS = ("loss", "zlib", "min_k", "min_k_plus", "reference")
FALSE_POSITIVE_RATES = {"1_percent": 100, "1_permille": 1000}
"""Of so many non-members one may be taken for a member."""
Values = NDArray[np.float64]


def membership_metrics(
    scores: Sequence[DocumentScore], reference: Sequence[DocumentScore] | None
) -> dict[str, float | None]:
    """Return the official AUC and score, each attack's AUC and true positive rates, and the loss of non-members.

    An attack takes the documents with the lowest values for members. All keys are always there; their values are None
    without documents, and those of the reference attack without the reference's scores of the same documents.

    Raises ValueError unless there are members and non-members.
    """
    metrics: dict[str, float | None] = dict.fromkeys([*map(auc_key, ATTACKS), "mia_score", "neutral_nats"])
    metrics |= dict.fromkeys(tpr_key(rate, attack) for attack in ATTACKS for rate in FALSE_POSITIVE_RATES)
    if not scores:
        return metrics
    member = member_flags(scores)
    for attack, values in attack_values(scores, reference).items():
        metrics[auc_key(attack)] = membership_auc(values, member)
        for rate, one_in in FALSE_POSITIVE_RATES.items():
            metrics[tpr_key(rate, attack)] = true_positive_rate(values, member, one_in)
    auc = metrics["mia_auc"]
    metrics["mia_score"] = None if auc is None else mia_score(auc)
    metrics["neutral_nats"] = fmean(item.loss_nats for item in scores if not item.member)
    return metrics


def member_flags(scores: Sequence[DocumentScore]) -> NDArray[np.bool_]:
    """Return whether each document is a member, as an array (N,)."""
    return np.array([item.member for item in scores], dtype=bool)


def attack_values(scores: Sequence[DocumentScore], reference: Sequence[DocumentScore] | None) -> dict[str, Values]:
    """Return each attack's values (N,) of the documents, lower for a likely member.

    The reference attack subtracts the loss of the retrained model from the loss, so that a document which is hard for
    any model no longer counts as one (Carlini et al. 2021, arXiv 2012.07805; as in MIMIR). Without reference scores of
    the same documents it is left out.
    """
    values = {
        "loss": np.array([item.loss_nats for item in scores]),
        "zlib": np.array([item.zlib for item in scores]),
        "min_k": np.array([item.min_k for item in scores]),
        "min_k_plus": np.array([item.min_k_plus for item in scores]),
    }
    if reference is not None and [(item.id, item.member) for item in reference] == [
        (item.id, item.member) for item in scores
    ]:
        values["reference"] = values["loss"] - [item.loss_nats for item in reference]
    return values


def auc_key(attack: str) -> str:
    """Return the metric name of the attack's AUC; the AUC of the loss is the official one."""
    return "mia_auc" if attack == "loss" else f"mia_auc_{attack}"


def tpr_key(rate: str, attack: str) -> str:
    """Return the metric name of the attack's true positive rate at a false positive rate."""
    return f"mia_tpr_{rate}_{attack}"


def membership_auc(values: Values, member: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve of -values as a sign of membership, from 0 to 1; 0.5 is best.

    Near 1 the model still knows the documents; near 0 it knows them suspiciously little. Equal values count half.

    Raises ValueError unless there are members and non-members.
    """
    if member.all() or not member.any():
        raise ValueError("membership_auc needs members and non-members")
    return float(roc_auc_score(member, -values))


def mia_score(auc: float) -> float:
    """Return 1 - 2 |AUC - 0.5|, from 0 to 1; higher is better. An AUC far above or far below 0.5 is punished."""
    return 1 - 2 * abs(auc - 0.5)


def true_positive_rate(values: Values, member: NDArray[np.bool_], one_in: int) -> float:
    """Return the greatest true positive rate, 0 to 1, at a false positive rate of 1 / one_in or less.

    An attack that is sure of a few members is a danger even where its AUC is 0.5 (Carlini et al. 2022, arXiv
    2112.03570). Of N non-members, floor(N / one_in) may lie at or below the threshold, and equal values lie on the same
    side of it. With N = 150 the false positive rate moves in steps of 1/150: at 1% one non-member is allowed, a rate of
    0.67%; at 0.1%, as for any N below 1000, none is allowed, and the result is the share of members that lie below all
    non-members. With M members the true positive rate moves in steps of 1/M.
    """
    # All thresholds are kept: by default scikit-learn drops those on straight pieces of the curve.
    false_positive_rates, true_positive_rates, _ = roc_curve(member, -values, drop_intermediate=False)
    return float(true_positive_rates[false_positive_rates <= 1 / one_in].max())
