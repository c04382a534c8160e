"""The result of an evaluation: metrics, intervals, and the scores of every row, document, question and item."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Generation:
    """The greedy answer to one row."""

    id: str
    split: str
    task: str
    kind: str
    input: str
    expected: str
    generated: str
    score: float
    """ROUGE-L recall (0 to 1) for kind sc, a completion; exact match (0 or 1) for kind qa, a question."""
    own: bool = False
    """As `Row.own`: how it was scored (`answer_score.SCORERS`)."""


@dataclass(frozen=True)
class DocumentScore:
    """The values of all membership attacks on one document; a lower value means that it is more likely a member."""

    id: str
    member: bool
    loss_nats: float
    """Mean negative log-likelihood, in nats a token."""
    zlib: float
    """loss_nats divided by the bytes of the text after compression by zlib."""
    min_k: float
    """Mean negative log-likelihood of the 20% least likely tokens, in nats a token."""
    min_k_plus: float
    """The same with each token's log-likelihood standardised over the vocabulary; it has no unit."""


@dataclass(frozen=True)
class QuestionScore:
    """Whether one multiple-choice question was answered right, in one format."""

    id: str
    subject: str
    right: bool


@dataclass(frozen=True)
class ItemScore:
    """The values of one item of a benchmark, the harness or the memorisation metrics, by name."""

    group: str
    """The set that the item belongs to, such as "forget"."""
    id: str
    values: dict[str, float]


@dataclass
class EvaluationResult:
    """Everything that was measured of one model."""

    metrics: dict[str, float | None] = field(default_factory=dict)
    """Flat, keys as in `metrics.METRICS`; None where the data for it is missing."""
    intervals: dict[str, list[float]] = field(default_factory=dict)
    """Lower and upper end of the 95% interval of each metric that has one."""
    weights_dtype: str | None = None
    """The type of the weights that were scored, such as float32; None in records that were written without it."""
    missing: list[str] = field(default_factory=list)
    """The parts of the final score that could not be computed, with the reasons; empty if there is a final score."""
    scorers: list[str] = field(default_factory=list)
    """How the answers to rows were scored (`answer_score.SCORERS`)."""
    generations: list[Generation] = field(default_factory=list)
    membership: list[DocumentScore] = field(default_factory=list)
    cloze: list[QuestionScore] = field(default_factory=list)
    letters: list[QuestionScore] = field(default_factory=list)
    items: dict[str, list[ItemScore]] = field(default_factory=dict)
    """The scores of single items, under "memorisation", "tofu", "muse", "wmdp", "rwku" and "harness"."""

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain data, for the run folder."""
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "EvaluationResult":
        """Return the result that `to_json` wrote. Raises KeyError or TypeError for anything else."""
        return EvaluationResult(
            metrics=value["metrics"],
            intervals=value["intervals"],
            weights_dtype=value.get("weights_dtype"),
            missing=value["missing"],
            # Older results were all scored officially, and do not say so.
            scorers=value.get("scorers", []),
            generations=[Generation(**item) for item in value["generations"]],
            membership=[DocumentScore(**item) for item in value["membership"]],
            cloze=[QuestionScore(**item) for item in value["cloze"]],
            letters=[QuestionScore(**item) for item in value["letters"]],
            items={name: [ItemScore(**item) for item in items] for name, items in value["items"].items()},
        )


TASKS = ("Task1", "Task2", "Task3")
