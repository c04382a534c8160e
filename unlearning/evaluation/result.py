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
class DocumentScore:
    """One document's signs of membership, from one pass; of each, lower means more likely a member."""

    id: str
    member: bool
    loss_nats: float
    """Mean negative log-likelihood, in nats a token."""
    zlib: float
    """Loss over the length of the text compressed by zlib."""
    min_k: float
    """Mean negative log-likelihood of the least likely tokens, in nats."""
    min_k_plus: float
    """The same with each token's log-likelihood standardised over the vocabulary, without unit."""


@dataclass(frozen=True)
class QuestionScore:
    """One multiple-choice question in one format."""

    id: str
    subject: str
    right: bool


@dataclass(frozen=True)
class ItemScore:
    """One item of another benchmark or of a memorisation metric: its values by name."""

    group: str
    """The set it belongs to, as "forget"."""
    id: str
    values: dict[str, float]


@dataclass
class EvaluationResult:
    """All that was measured of one model."""

    metrics: dict[str, float | None] = field(default_factory=dict)
    """Flat, keys as in `METRICS`; None where the data for it is missing."""
    intervals: dict[str, list[float]] = field(default_factory=dict)
    """Lower and upper end of the 95% interval of a metric, for those that have one."""
    missing: list[str] = field(default_factory=list)
    """Parts of the final score that could not be computed, with the reason; empty when `final` is set."""
    generations: list[Generation] = field(default_factory=list)
    membership: list[DocumentScore] = field(default_factory=list)
    cloze: list[QuestionScore] = field(default_factory=list)
    letters: list[QuestionScore] = field(default_factory=list)
    items: dict[str, list[ItemScore]] = field(default_factory=dict)
    """By benchmark: "memorisation", "tofu", "muse", "hazards"."""

    def to_json(self) -> dict[str, Any]:
        """Plain data, for the cache and the run folder."""
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "EvaluationResult":
        """Inverse of `to_json`."""
        return EvaluationResult(
            metrics=value["metrics"],
            intervals=value["intervals"],
            missing=value["missing"],
            generations=[Generation(**item) for item in value["generations"]],
            membership=[DocumentScore(**item) for item in value["membership"]],
            cloze=[QuestionScore(**item) for item in value["cloze"]],
            letters=[QuestionScore(**item) for item in value["letters"]],
            items={name: [ItemScore(**item) for item in items] for name, items in value["items"].items()},
        )


TASKS = ("Task1", "Task2", "Task3")
METRICS = {
    "final": "mean of task_aggregate, mia_score and utility; higher is better",
    "task_aggregate": "harmonic mean of the 12 terms; higher is better",
    "mia_score": "1 - 2|AUC - 0.5|; higher is better",
    "mia_auc": "membership AUC of the document loss; 0.5 is best",
    "mia_auc_zlib": "the same of the loss over the text's compressed length",
    "mia_auc_min_k": "the same of the 20% least likely tokens' loss (Min-K%)",
    "mia_auc_min_k_plus": "the same of Min-K%++, each token measured against the whole vocabulary",
    "mia_auc_reference": "the same of the loss less the retrained model's loss",
    "mia_tpr_1_percent_loss": "members found by the loss at 1% false positives; 0.01 or less is best",
    "mia_tpr_1_percent_zlib": "the same of zlib",
    "mia_tpr_1_percent_min_k": "the same of Min-K%",
    "mia_tpr_1_percent_min_k_plus": "the same of Min-K%++",
    "mia_tpr_1_percent_reference": "the same of the loss less the retrained model's",
    "mia_tpr_1_permille_loss": "members found by the loss at 0.1% false positives; 0.001 or less is best",
    "mia_tpr_1_permille_zlib": "the same of zlib",
    "mia_tpr_1_permille_min_k": "the same of Min-K%",
    "mia_tpr_1_permille_min_k_plus": "the same of Min-K%++",
    "mia_tpr_1_permille_reference": "the same of the loss less the retrained model's",
    "utility": "accuracy in the configured question format, over all questions; higher is better",
    "utility_macro": "the same, as the mean of the subjects' accuracies",
    "utility_cloze": "accuracy by the likelihood of each option",
    "utility_letters": "accuracy by the probability of the letters A-D",
    "forget_regurgitation": "mean ROUGE-L recall over forget completions; lower is better",
    "forget_knowledge": "mean exact match over forget questions; lower is better",
    "retain_regurgitation": "mean ROUGE-L recall over retain completions; higher is better",
    "retain_knowledge": "mean exact match over retain questions; higher is better",
    "forget_extraction_strength": "share of a forget row's output that the rest of it brings out; lower is better",
    "retain_extraction_strength": "the same over retain rows; higher is better",
    "forget_exact_memorisation": "share of a forget row's output tokens that are the first guess; lower is better",
    "retain_exact_memorisation": "the same over retain rows; higher is better",
}
"""Besides these, "{split}_{task}_{regurgitation|knowledge}" for each split and task: plain means, before the 1 - x."""
