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
    """Flat, keys as in `metrics.METRICS`; None where the data for it is missing."""
    intervals: dict[str, list[float]] = field(default_factory=dict)
    """Lower and upper end of the 95% interval of a metric, for those that have one."""
    missing: list[str] = field(default_factory=list)
    """Parts of the final score that could not be computed, with the reason; empty when `final` is set."""
    generations: list[Generation] = field(default_factory=list)
    membership: list[DocumentScore] = field(default_factory=list)
    cloze: list[QuestionScore] = field(default_factory=list)
    letters: list[QuestionScore] = field(default_factory=list)
    items: dict[str, list[ItemScore]] = field(default_factory=dict)
    """By benchmark: "memorisation", "tofu", "muse", "wmdp"."""

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
