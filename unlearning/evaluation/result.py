"""What an evaluation leaves behind; the report and the run folder read nothing else."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Generation:
    """One row's greedy answer."""

    id: str
    split: str
    task: str
    kind: str
    input: str
    expected: str
    generated: str
    score: float
    """ROUGE-L recall for kind sc, exact match (0 or 1) for kind qa."""


@dataclass(frozen=True)
class MembershipLoss:
    """One document's mean negative log-likelihood, in nats a token."""

    id: str
    member: bool
    loss_nats: float


@dataclass
class EvaluationResult:
    """All that was measured of one model."""

    metrics: dict[str, float | None] = field(default_factory=dict)
    """Flat, keys as in `METRICS`; None where the data for it is missing."""
    missing: list[str] = field(default_factory=list)
    """Parts of the final score that could not be computed, with the reason; empty when `final` is set."""
    generations: list[Generation] = field(default_factory=list)
    membership: list[MembershipLoss] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain data, for the cache and the run folder."""
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "EvaluationResult":
        """Inverse of `to_json`."""
        return EvaluationResult(
            metrics=value["metrics"],
            missing=value["missing"],
            generations=[Generation(**item) for item in value["generations"]],
            membership=[MembershipLoss(**item) for item in value["membership"]],
        )


TASKS = ("Task1", "Task2", "Task3")
METRICS = {
    "final": "mean of task_aggregate, mia_score and utility; higher is better",
    "task_aggregate": "harmonic mean of the 12 terms; higher is better",
    "mia_score": "1 - 2|AUC - 0.5|; higher is better",
    "mia_auc": "membership AUC of the document loss; 0.5 is best",
    "utility": "accuracy in the configured question format; higher is better",
    "utility_cloze": "accuracy by the likelihood of each option",
    "utility_letters": "accuracy by the probability of the letters A-D",
    "forget_regurgitation": "mean ROUGE-L recall over forget completions; lower is better",
    "forget_knowledge": "mean exact match over forget questions; lower is better",
    "retain_regurgitation": "mean ROUGE-L recall over retain completions; higher is better",
    "retain_knowledge": "mean exact match over retain questions; higher is better",
}
"""Besides these, "{split}_{task}_{regurgitation|knowledge}" for each split and task: plain means, before the 1 - x."""
